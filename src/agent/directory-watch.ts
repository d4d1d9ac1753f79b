/** Notices of changes in a directory: inotify where it works, so that waiting costs nothing, with a slow look besides. */
import { watch, type FSWatcher } from 'node:fs';

export interface WatchOptions {
  /** How often to look anyway, ms: events may be lost. */
  pollMs: number;
  /** How often to look where the system gives no events (limit of watches, network file system), ms. */
  fallbackMs: number;
}

/**
 * Calls `changed` whenever something in a directory may have changed, and now and then without cause.
 * @returns ends the watch
 */
export function watchDirectory(directory: string, changed: () => void, options: WatchOptions): () => void {
  let watcher: FSWatcher | null = null;
  let timer: NodeJS.Timeout;
  const poll = (ms: number): void => {
    clearInterval(timer);
    timer = setInterval(changed, ms);
    timer.unref();
  };
  timer = setInterval(changed, options.pollMs);
  timer.unref();
  // macOS tells of new names in a directory, not of files that grow.
  if (process.platform !== 'linux') poll(options.fallbackMs);
  try {
    watcher = watch(directory, { persistent: false }, () => changed());
    watcher.on('error', () => poll(options.fallbackMs));
  } catch {
    poll(options.fallbackMs); // ENOSPC (fs.inotify.max_user_watches), ENOENT: the look tells when it comes
  }
  return () => {
    clearInterval(timer);
    watcher?.close();
  };
}
