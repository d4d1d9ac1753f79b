/**
 * Ships the router's access logs: a file for each app, found as it comes.
 *
 *   APPID.log appears ─► a source of the shipper, as long as it is there ─► space of what is stored is given back
 *   its app is not in the table, and no line came for an hour ─► the rest is delivered ─► removed
 *
 * Beside each file lies `APPID.log.id`: positions are bytes of one file, so a new file is a new source.
 */
import { readdirSync, readFileSync, rmSync, statSync, watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import type { RouteTable } from '../shared/contracts/routes.ts';
import { errnoOf } from '../shared/errors.ts';
import { writeDurably } from '../shared/files.ts';
import { newSecret } from '../shared/ids.ts';
import { routerLogId } from '../shared/router-log.ts';
import { errorFields, type Log } from './log.ts';
import type { LogShipper } from './logs/shipper.ts';
import { freePrefix } from './runtimes/spool.ts';

/** How often to look for new files, and for growth that the system did not tell of. */
const everyMs = 1000;
/** A file of an app that the table lacks goes when it has not grown for so long. */
const restMs = 3600_000;
/** Lines of requests that no route matched are nobody's; so much of the last of them is kept. */
const unroutedFile = '-.log';
const unroutedKeep = 4 << 20;
const unroutedMost = 16 << 20;

const suffix = '.log';
const appFile = /^([A-Za-z0-9][A-Za-z0-9_-]{0,63})\.log$/;

export interface RouterLogs {
  /** The table that the router was given: whose files are still wanted. */
  table(table: RouteTable): void;
  /** The shipper says that all of a source that ended is stored. Answers whether it was one of these. */
  delivered(instance: string): boolean;
  close(): void;
}

interface LogFile {
  instance: string;
  appId: string;
  /** No more lines are expected; its rest is on its way. */
  ended: boolean;
}

export function shipRouterLogs(options: {
  directory: string;
  hostId: string;
  shipper: Pick<LogShipper, 'add' | 'end' | 'remove' | 'grew'>;
  log: Log;
  /** For tests. */
  intervalMs?: number;
  restMs?: number;
}): RouterLogs {
  const { directory, hostId, shipper, log } = options;
  const files = new Map<string, LogFile>();
  /** Undefined until a table is known. */
  let apps: ReadonlySet<string> | undefined;
  let watcher: FSWatcher | undefined;

  const add = (name: string, appId: string) => {
    const file = join(directory, name);
    const instance = routerLogId(hostId, appId, identify(`${file}.id`));
    files.set(name, { instance, appId, ended: false });
    ship(name, instance, appId);
  };
  const ship = (name: string, instance: string, appId: string) =>
    shipper.add({
      ...{ instance, name: 'router', appId, processType: 'router', release: null, source: 'router' },
      ...{ files: { stdout: join(directory, name) }, watch: false },
    });

  /** Lets a file's rest be delivered when its app is gone, and takes that back when the app is there again. */
  const settle = (name: string, file: LogFile) => {
    if (!apps || apps.has(file.appId)) {
      if (file.ended) ship(name, file.instance, file.appId);
      file.ended = false;
      return;
    }
    if (file.ended || Date.now() - statSync(join(directory, name)).mtimeMs < (options.restMs ?? restMs)) return;
    file.ended = true;
    shipper.end(file.instance);
  };

  const scan = () => {
    const names = new Set(readdirSync(directory));
    for (const name of names) {
      const appId = appFile.exec(name)?.[1];
      const known = files.get(name);
      if (appId === undefined) continue;
      if (!known) add(name, appId);
      else if (!known.ended) shipper.grew(known.instance);
    }
    for (const [name, file] of files) {
      if (names.has(name)) settle(name, file);
      else forget(name, file);
    }
    for (const name of names) {
      const whose = name.slice(0, name.lastIndexOf(suffix) + suffix.length);
      if (whose !== name && appFile.test(whose) && !names.has(whose)) rmSync(join(directory, name), { force: true });
    }
    trimUnrouted(join(directory, unroutedFile));
  };

  const forget = (name: string, { instance }: LogFile) => {
    files.delete(name);
    shipper.remove(instance);
  };

  const trimUnrouted = (file: string) => {
    const { size, blocks } = statSync(file, { throwIfNoEntry: false }) ?? { size: 0, blocks: 0 };
    if (blocks * 512 > unroutedMost) void freePrefix(file, size - unroutedKeep);
  };

  const look = () => {
    try {
      scan();
      watcher ??= watchDirectory();
    } catch (error) {
      // Before the router's first start there is no directory.
      if (errnoOf(error) !== 'ENOENT') log.warn('the access logs cannot be read', errorFields(error));
    }
  };

  /** Tells which file grew at once; the regular look finds what the system does not tell. */
  const watchDirectory = (): FSWatcher | undefined => {
    try {
      const made = watch(directory, { persistent: false }, (_event, name) => {
        const file = name === null ? undefined : files.get(name);
        if (file && !file.ended) shipper.grew(file.instance);
      });
      made.on('error', () => {
        made.close();
        watcher = undefined;
      });
      return made;
    } catch {
      return undefined; // no watches left (fs.inotify.max_user_watches)
    }
  };

  const timer = setInterval(look, options.intervalMs ?? everyMs);
  timer.unref();
  look();

  return {
    table({ backends }) {
      apps = new Set(Object.values(backends).map(({ appId }) => appId));
    },
    delivered(instance) {
      for (const [name, file] of files) {
        if (file.instance !== instance) continue;
        forget(name, file);
        // The log first: an id without a log is removed with the next look.
        for (const end of ['', '.state', '.id']) rmSync(join(directory, `${name}${end}`), { force: true });
        return true;
      }
      return false;
    },
    close() {
      clearInterval(timer);
      watcher?.close();
    },
  };
}

/** What tells a file from those before it: made when it is first seen. */
function identify(path: string): string {
  try {
    const id = readFileSync(path, 'utf8');
    if (/^[A-Za-z0-9_-]{8}$/.test(id)) return id;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  const id = newSecret(6);
  writeDurably(path, id);
  return id;
}
