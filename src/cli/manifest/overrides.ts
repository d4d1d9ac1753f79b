/** What flags of `paas push` say, laid over what the manifest says. */
import type { AppSpec, ProcessSpec } from '../../shared/contracts/app-spec.ts';
import { PaasError } from '../../shared/errors.ts';
import type { Draft } from './draft.ts';
import { configName } from './schema.ts';

/** Flags after parsing: memory in MiB, cpu in cores. */
export interface Overrides {
  /** `-i N`: instances of `web`, or of the only process type. */
  instances?: number;
  memoryMb?: number;
  cpu?: number;
  command?: string;
  strategy?: NonNullable<NonNullable<AppSpec['rollout']>['strategy']>;
  maxInFlight?: number;
  config?: Readonly<Record<string, string>>;
  noRoute?: boolean;
}

/**
 * Changes `app` as the flags say.
 * @throws PaasError usage when it is not clear which process type a flag is about, or a config name is none
 */
export function applyOverrides(app: Draft['app'], flags: Overrides): void {
  const process: Partial<ProcessSpec> = {};
  if (flags.instances !== undefined) process.instances = flags.instances;
  if (flags.memoryMb !== undefined) process.memoryMb = flags.memoryMb;
  if (flags.cpu !== undefined) process.cpu = flags.cpu;
  if (flags.command !== undefined) process.command = flags.command;
  if (Object.keys(process).length > 0) {
    const type = processForFlags(Object.keys(app.processes), Object.keys(process));
    app.processes[type] = { kind: 'web', ...app.processes[type], ...process };
  }
  if (flags.strategy !== undefined) app.rollout = { ...app.rollout, strategy: flags.strategy };
  if (flags.maxInFlight !== undefined) app.rollout = { ...app.rollout, maxInFlight: flags.maxInFlight };
  if (flags.noRoute === true) app.routes = [];
  for (const name of Object.keys(flags.config ?? {})) {
    if (configName.pattern.test(name)) continue;
    const hint = configName.hint(name);
    throw new PaasError('usage', `\`${name}\` is not a name for a config value: it must be ${configName.expected}.`, {
      ...(hint === undefined ? {} : { hint: `${hint.replace(/^w/, 'W')}.` }),
    });
  }
  if (flags.config !== undefined) app.config = { ...app.config, ...flags.config };
}

/**
 * Which process type flags without a type are about: `web`, else the only one; `web` where there are none yet.
 * @param flags their names, for the message
 * @throws PaasError usage when it is not clear
 */
export function processForFlags(types: readonly string[], flags: readonly string[]): string {
  if (types.length === 0 || types.includes('web')) return 'web';
  const [only] = types;
  if (types.length === 1 && only !== undefined) return only;
  const names = flags.map((flag) => `--${flag === 'memoryMb' ? 'memory' : flag}`).join(', ');
  throw new PaasError('usage', `${names}: which of the process types ${types.join(', ')}?`, {
    hint: 'These flags are about `web` or an only process type. Write it in the manifest, or use `paas scale`.',
  });
}
