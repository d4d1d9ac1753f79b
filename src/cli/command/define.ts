/** What a command is: data for parser and help, and one function. Each file of commands/ defines one. */
import type { AppScope, Context } from './context.ts';
import { appFlags, everywhere, scopeFlags, type Flags, type Values } from './flags.ts';

export interface Argument {
  summary: string;
  required?: boolean;
}

export interface Definition<F extends Flags = Flags> {
  summary: string;
  /** Paragraphs below the summary. */
  description?: string;
  args?: Record<string, Argument>;
  /** Any number of further arguments; `name` as the help shows it (`K=V …`). */
  rest?: { name: string; summary: string; required?: boolean };
  /** What follows `--` is not for us: `paas run -- CMD…`. */
  command?: { summary: string };
  flags?: F;
  /** With `--json` it prints one object a line, an error too. */
  streams?: boolean;
  /** Command line and what it does. */
  examples?: readonly (readonly [string, string])[];
}

export interface Invocation<F> {
  flags: Values<F>;
  args: Record<string, string | undefined>;
  rest: string[];
  /** After `--`. */
  command: string[];
}

/** As the table of commands and the help see it. */
export interface Command extends Definition {
  flags: Flags;
  run(context: Context, invocation: Invocation<Flags>): Promise<number | undefined>;
}

type Run<F, C> = (context: C, invocation: Invocation<F>) => Promise<number | undefined>;

function make<F extends Flags, C>(
  definition: Definition<F>,
  flags: Flags,
  run: Run<F, C>,
  prepare: (context: Context, invocation: Invocation<Flags>) => Promise<C>,
): Command {
  return {
    ...definition,
    flags: { ...definition.flags, ...flags, ...everywhere },
    run: async (context, invocation) => run(await prepare(context, invocation), invocation as Invocation<F>),
  };
}

/** A command about the platform, or about none. */
export function platformCommand<const F extends Flags>(definition: Definition<F>, run: Run<F, Context>): Command {
  return make(definition, {}, run, (context) => Promise.resolve(context));
}

/** A command about a project's environment: `-p`, `-e`. */
export function scopeCommand<const F extends Flags>(
  definition: Definition<F>,
  run: Run<F & typeof scopeFlags, Context>,
): Command {
  return make<F & typeof scopeFlags, Context>(
    definition as Definition<F & typeof scopeFlags>,
    scopeFlags,
    run,
    (context) => Promise.resolve(context),
  );
}

/**
 * A command about one app: `-a`, `-p`, `-e`; the argument `app`, where the command has one, comes first. The app's name is
 * worked out before `run`; that it exists is the platform's matter.
 */
export function appCommand<const F extends Flags>(
  definition: Definition<F>,
  run: Run<F & typeof appFlags, Context & { app: AppScope }>,
): Command {
  return make<F & typeof appFlags, Context & { app: AppScope }>(
    definition as Definition<F & typeof appFlags>,
    appFlags,
    run,
    async (context, { args, flags }) => {
      const app = await context.findApp({ ...(flags as Values<typeof appFlags>), argument: args['app'] });
      return Object.assign(context, { app });
    },
  );
}
