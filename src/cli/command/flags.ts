/** Flags of commands: what they are called, what they mean, how their text becomes a value. */
import { PaasError } from '../../shared/errors.ts';
import { formatDuration, parseDuration, parseSize } from '../../shared/units.ts';

export interface Flag<T = unknown> {
  kind: 'boolean' | 'option';
  char?: string;
  summary: string;
  /** Stands for the value in the help: `--memory 256M`. */
  value?: string;
  multiple?: boolean;
  choices?: readonly string[];
  hidden?: boolean;
  /** The value of the flag from what was typed. @throws PaasError usage */
  read: (texts: readonly string[]) => T;
}

export type Flags = Record<string, Flag>;
export type Values<F> = { [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

type Spec = Pick<Flag, 'summary'> & Partial<Pick<Flag, 'char' | 'value' | 'hidden'>>;

export const dayMs = 86_400_000;

export const flag = {
  boolean: (spec: Spec): Flag<boolean> => ({ kind: 'boolean', ...spec, read: (texts) => texts.length > 0 }),
  text: (spec: Spec): Flag<string | undefined> => option(spec, (text) => text),
  /** May be given several times. */
  list: (spec: Spec): Flag<string[]> => ({ kind: 'option', multiple: true, ...spec, read: (texts) => [...texts] }),
  choice: <const T extends string>(spec: Spec & { choices: readonly T[] }): Flag<T | undefined> => ({
    ...option(spec, (text) => {
      const found = spec.choices.find((choice) => choice === text);
      if (found !== undefined) return found;
      throw new PaasError('usage', `\`${text}\` is none of ${spec.choices.join(', ')}.`);
    }),
    choices: spec.choices,
  }),
  integer: (spec: Spec & { min?: number; max?: number }): Flag<number | undefined> =>
    option({ value: 'N', ...spec }, (text) => {
      const { min = 0, max = Number.MAX_SAFE_INTEGER } = spec;
      const value = Number(text);
      if (/^\d{1,15}$/.test(text) && value >= min && value <= max) return value;
      const range = max === Number.MAX_SAFE_INTEGER ? `from ${min} up` : `from ${min} to ${max}`;
      throw new PaasError('usage', `\`${text}\` is not a whole number ${range}.`);
    }),
  /** MiB */
  size: (spec: Spec): Flag<number | undefined> => option({ value: '256M', ...spec }, parseSize),
  /** Milliseconds, at most `max` (a day: timers hold no more than 24.8 of them, and end at once with a longer time). */
  duration: (spec: Spec & { max?: number }): Flag<number | undefined> =>
    option({ value: '5m', ...spec }, (text) => {
      const { max = dayMs } = spec;
      const ms = parseDuration(text);
      if (ms <= max) return ms;
      throw new PaasError('usage', `\`${text}\` is longer than ${formatDuration(max)}.`, {
        hint: 'Give a shorter time.',
      });
    }),
  cpu: (spec: Spec): Flag<number | undefined> => option({ value: '0.5', ...spec }, parseCpu),
};

/** Cores: `0.5`, `2`. @throws PaasError usage */
export function parseCpu(text: string): number {
  const value = Number(text);
  if (/^\d{1,4}(\.\d{1,3})?$/.test(text) && value > 0) return value;
  throw new PaasError('usage', `\`${text}\` is not a number of cores.`, {
    hint: 'Write a number such as `0.5` or `2`.',
  });
}

function option<T>(spec: Spec, convert: (text: string) => T): Flag<T | undefined> {
  return {
    kind: 'option',
    ...spec,
    read: (texts) => {
      const text = texts.at(-1);
      return text === undefined ? undefined : convert(text);
    },
  };
}

/** What every command has. */
export const everywhere = {
  json: flag.boolean({ summary: 'print JSON on standard output' }),
  help: flag.boolean({ char: 'h', summary: 'show this help' }),
};

/** Of commands about a project's environment. */
export const scopeFlags = {
  project: flag.text({ char: 'p', value: 'NAME', summary: 'project (PAAS_PROJECT, else as `paas target` says)' }),
  env: flag.text({ char: 'e', value: 'NAME', summary: 'environment (PAAS_ENV, else as `paas target` says)' }),
};

/** Of commands about one app. */
export const appFlags = {
  app: flag.text({ char: 'a', value: 'NAME', summary: "app (PAAS_APP, else the manifest's in this directory)" }),
  ...scopeFlags,
};

/** Of commands that wait for a rollout. */
export const waitFlags = {
  timeout: flag.duration({ summary: 'give up waiting after so long; what is under way goes on' }),
  'no-wait': flag.boolean({ summary: 'do not wait until it is done' }),
};

export const yesFlag = flag.boolean({ char: 'y', summary: 'do not ask' });
