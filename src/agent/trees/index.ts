/**
 * Trees on this host: fetched once however many ask, written into directories, collected when nobody needs them.
 * Damage on disk mends itself: what does not match its hash is fetched again.
 */
import { PaasError } from '../../shared/errors.ts';
import type { ControlHttp } from '../link-http.ts';
import { errorFields, type Log } from '../log.ts';
import { collect } from './collect.ts';
import { fetchTree } from './fetch.ts';
import { writeTree, type Owner } from './materialise.ts';
import { ObjectStore } from './store.ts';

/** How often a tree is fetched again because its objects turn out damaged while they are written out. */
const repairs = 3;

export interface Trees {
  readonly store: ObjectStore;
  /** Makes sure that the whole tree is on this host. */
  ensure(root: string): Promise<void>;
  /**
   * Makes the directory `dest` with the tree's content, owned by `owner`. Nothing is left of it on failure.
   * @throws PaasError `conflict` (`dest` exists), `disk_full`, `corrupt`, `unavailable`, …
   */
  materialise(root: string, dest: string, owner?: Owner): Promise<void>;
  /** The same for a tree that only this host has: what is missing or damaged is thrown, not fetched. */
  materialiseLocal(root: string, dest: string, owner?: Owner): Promise<void>;
  /** Runs `work` while nothing is collected. */
  using<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Removes what these trees do not reach, and does `also` while nothing else begins. Does nothing (false) while the
   * store is in use.
   */
  collect(keep: Iterable<string>, also?: () => Promise<void>): Promise<boolean>;
  close(): void;
}

export function openTrees(directory: string, http: Pick<ControlHttp, 'open'>, log: Log): Trees {
  const store = new ObjectStore(directory);
  /** Trees known to be whole, the last used at the end. */
  const whole = new Set<string>();
  const fetching = new Map<string, Promise<void>>();
  let users = 0;
  let collecting: Promise<void> | undefined;

  const using = async <T>(work: () => Promise<T>): Promise<T> => {
    while (collecting) await collecting;
    users += 1;
    try {
      return await work();
    } finally {
      users -= 1;
    }
  };

  const ensure = (root: string): Promise<void> =>
    using(async () => {
      if (whole.delete(root)) {
        whole.add(root);
        return;
      }
      let fetch = fetching.get(root);
      if (!fetch) {
        fetch = fetchTree(root, { http, store, have: [...whole].reverse() }).finally(() => fetching.delete(root));
        fetching.set(root, fetch);
      }
      await fetch;
      whole.add(root);
    });

  const writing = (root: string, write: () => Promise<void>): Promise<void> =>
    using(async () => {
      for (let attempt = 1; ; attempt++) {
        await ensure(root);
        try {
          await write();
          return;
        } catch (error) {
          const damaged = error instanceof PaasError && (error.code === 'corrupt' || error.code === 'not_found');
          if (!damaged || attempt > repairs) throw error;
          log.warn('damaged files in the store of this host; fetching them again', {
            tree: root,
            ...errorFields(error),
          });
          // Another tree may share the damaged object.
          whole.clear();
        }
      }
    });

  return {
    store,
    ensure,
    using,
    materialise: (root, dest, owner) => writing(root, () => writeTree(store, root, dest, owner)),
    materialiseLocal: (root, dest, owner) => using(() => writeTree(store, root, dest, owner)),
    async collect(keep, also) {
      if (collecting || users > 0) return false;
      const roots = [...keep];
      const run = collect(store, roots).then(async (bytes) => {
        if (bytes > 0) log.info('collected trees that nothing needs', { bytes, kept: roots.length });
        await also?.();
      });
      // New work waits for the end, also of a failed one.
      collecting = run.then(
        () => void (collecting = undefined),
        () => void (collecting = undefined),
      );
      const kept = new Set(roots);
      for (const root of whole) if (!kept.has(root)) whole.delete(root);
      await run;
      return true;
    },
    close: () => store.close(),
  };
}
