/** The runtimes of this host, best first. Adding one: a file and a line here. */
import { PaasError } from '../../shared/errors.ts';
import type { Check, Runtime, RuntimeKind } from './port.ts';
import { processRuntime } from './process.ts';
import { sandboxRuntime } from './sandbox.ts';
import { ownerOf } from './users.ts';

export const drivers: readonly Runtime[] = [sandboxRuntime, processRuntime];

/** The driver of a kind, whether or not it works here: what runs under it must be looked after. */
export function driverOf(kind: RuntimeKind): Runtime {
  return drivers.find((driver) => driver.kind === kind)!;
}

export interface Runtimes {
  /** Kinds that work here, best first. */
  available: RuntimeKind[];
  /** Why others do not, for `paas status`. */
  notices: string[];
  /** @throws unsupported when that kind does not work here */
  choose(kind: RuntimeKind | 'auto'): Runtime;
}

/** Tries every runtime on this host. Takes some 20 ms. */
export async function findRuntimes(candidates: readonly Runtime[] = drivers): Promise<Runtimes> {
  const owner = ownerOf('check');
  const checks = await Promise.all(
    candidates.map(async (driver): Promise<[Runtime, Check]> => [driver, await driver.check(owner)]),
  );
  const working = checks.filter(([, check]) => check.ok).map(([driver]) => driver);
  const notices = checks.flatMap(([driver, check]) =>
    check.ok ? [] : [`runtime ${driver.kind} does not work on this host: ${check.reason}`],
  );
  return {
    available: working.map((driver) => driver.kind),
    notices,
    choose(kind) {
      const found = kind === 'auto' ? working[0] : working.find((driver) => driver.kind === kind);
      if (found) return found;
      const why = notices.join('; ') || 'this host has no such runtime';
      throw new PaasError('unsupported', `runtime ${kind}: ${why}`, {
        hint: 'Install bubblewrap, or choose another runtime.',
      });
    },
  };
}
