/** The output of a session's command: passed on whole, no faster than the link takes it, and no longer than it comes. */
import type { Readable } from 'node:stream';

/** A pipe on which nothing comes for so long is given up once the command has ended, ms. */
const quietMs = 200;
/** Looks at one on which something does: all that the command itself wrote is long taken then. */
const maxLooks = 10;

interface Outlet {
  stream: Readable;
  /** Parts passed on. */
  parts: number;
  /** The link has enough at the moment: that nothing is taken says nothing. */
  held: boolean;
  done: Promise<void>;
}

export interface SessionOutput {
  /** Resolves when all pipes are closed and all that came is passed on. */
  done: Promise<void>;
  /**
   * To be called once the command and its children have been ended: who escaped that keeps a pipe open, and nobody
   * waits for it.
   */
  finish(): void;
}

/**
 * Begins to pass output on.
 * @param options.pass false: nobody is there any more who would take it
 * @param options.drained resolves once more may be passed on
 */
export function passOutput(
  streams: Readonly<Record<'stdout' | 'stderr', Readable>>,
  options: {
    pass(stream: 'stdout' | 'stderr', part: Buffer): boolean;
    drained(): Promise<void>;
    failed(error: unknown): void;
  },
): SessionOutput {
  const pump = async (name: 'stdout' | 'stderr', outlet: Outlet) => {
    try {
      for await (const part of outlet.stream as AsyncIterable<Buffer>) {
        if (!options.pass(name, part)) break;
        outlet.parts += 1;
        outlet.held = true;
        await options.drained();
        outlet.held = false;
      }
    } catch (error) {
      // Destroyed without an error: by `finish`.
      if (outlet.stream.errored) options.failed(error);
    }
    outlet.stream.resume();
  };
  const outlets = (['stdout', 'stderr'] as const).map((name) => {
    const outlet: Outlet = { stream: streams[name], parts: 0, held: false, done: Promise.resolve() };
    outlet.done = pump(name, outlet);
    return outlet;
  });
  const done = Promise.all(outlets.map((outlet) => outlet.done)).then(() => undefined);
  return {
    done,
    finish() {
      const seen = new Map<Outlet, { parts: number; looks: number }>();
      const timer = setInterval(() => {
        for (const outlet of outlets) {
          const { parts, looks } = seen.get(outlet) ?? { parts: -1, looks: 0 };
          if (outlet.held) continue;
          if (outlet.parts === parts || looks === maxLooks) outlet.stream.destroy();
          seen.set(outlet, { parts: outlet.parts, looks: looks + 1 });
        }
      }, quietMs);
      void done.then(() => clearInterval(timer));
    },
  };
}
