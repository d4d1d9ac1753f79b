/**
 * The output of builds on its way to the control plane. A build's directory lives until its log is stored there, also
 * when the build is over or the agent is another one.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import type { BuildStep } from '../../shared/contracts/steps.ts';
import { readJsonFile, writeDurably } from '../../shared/files.ts';
import { errorFields, type Log } from '../log.ts';
import type { LogSource } from '../logs/source.ts';
import { removeTree } from '../remove-tree.ts';
import { logFile } from '../runtimes/keeper.ts';

/** Where logs go: the shipper. */
interface Sink {
  add(source: LogSource): void;
  end(instance: string): void;
  remove(instance: string): void;
}

/** How long a build's result waits for its log, so that the last lines come before it. */
const deliverMs = 2000;
/** A log that nobody takes is removed after so long. */
const keepMs = 7 * 86_400_000;

const labels = z.object({ instance: z.string(), name: z.string(), appId: z.string() });

export class BuildLogs {
  readonly #directory: string;
  readonly #sink: Sink;
  readonly #log: Log;
  readonly #waiting = new Map<string, () => void>();

  /** @param directory `builds/` of the data directory */
  constructor(directory: string, sink: Sink, log: Log) {
    this.#directory = directory;
    this.#sink = sink;
    this.#log = log;
  }

  /** Takes up the logs of builds that ended under an earlier agent. Call before new ones begin. */
  recover(): void {
    for (const entry of readdirSync(this.#directory, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue; // the keeper's script
      const id = entry.name;
      const directory = join(this.#directory, id);
      try {
        const known = readJsonFile(join(directory, 'log.json'), labels);
        const old = Date.now() - statSync(directory).mtimeMs > keepMs;
        if (known && !old) {
          this.#sink.add(sourceOf(directory, known));
          this.#sink.end(known.instance);
        } else this.#discard(id);
      } catch (error) {
        this.#log.warn("a build's log cannot be read and is removed", { build: id, ...errorFields(error) });
        this.#discard(id);
      }
    }
  }

  begin(step: BuildStep, directory: string): void {
    const known = { instance: step.id, name: 'build', appId: step.app.id };
    writeDurably(join(directory, 'log.json'), JSON.stringify(known));
    this.#sink.add(sourceOf(directory, known));
  }

  /** The build wrote its last line. Resolves when the control plane has it, or after a short while. */
  end(id: string): Promise<void> {
    this.#sink.end(id);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, deliverMs);
      this.#waiting.set(id, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The control plane has all of it. False when it is no build's log. */
  delivered(id: string): boolean {
    const directory = join(this.#directory, id);
    if (!statSync(join(directory, 'log.json'), { throwIfNoEntry: false })) return false;
    this.#waiting.get(id)?.();
    this.#waiting.delete(id);
    this.#sink.remove(id);
    this.#discard(id);
    return true;
  }

  /** Removes a build's directory, in the background; what cannot be removed now, the next agent tries again. */
  #discard(id: string): void {
    removeTree(join(this.#directory, id)).catch((error: unknown) =>
      this.#log.warn("a build's directory remains", { build: id, ...errorFields(error) }),
    );
  }
}

function sourceOf(directory: string, known: z.infer<typeof labels>): LogSource {
  const files = { stdout: logFile(directory, 'stdout'), stderr: logFile(directory, 'stderr') };
  return { ...known, processType: 'build', release: null, source: 'build', files };
}
