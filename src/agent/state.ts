/**
 * The data directory: where everything lies. The root is searchable by apps (0711), since their
 * own directories lie below; what is private is 0600 or in a 0700 directory.
 *
 *   format.json        version of this layout
 *   agent.lock         identity of the agent that runs here
 *   key.json           host id, the agent's own key, hash of the enrolment token that it came from
 *   assignment.json    the last assignment taken up
 *   facts.json         tools found on the host, by path and modification time
 *   steps/<id>.json    journal: steps under way and results not yet acknowledged
 *   builds/<id>/       work directories of builds (0711, their contents belong to the app's user)
 *   caches/<project>/  what builds keep: shared (npm, pip) and by cache key
 *   trees/             content-addressed objects (0700)
 *   bases/<digest>/    imported root file systems, read-only and shared by apps
 *   instances/         the supervisor's: instance directories, records, logs
 *   router/            the router's table, status and socket
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkFormat } from '../shared/data-format.ts';

export interface DataDir {
  root: string;
  lock: string;
  key: string;
  assignment: string;
  facts: string;
  steps: string;
  builds: string;
  caches: string;
  trees: string;
  bases: string;
  instances: string;
  router: string;
}

/** Raised with every change that an older agent would misread. */
export const agentFormat = 1;

/**
 * Paths of a data directory, which is created where it is missing.
 * @throws PaasError conflict when a later version wrote it, corrupt
 */
export function openDataDir(root: string): DataDir {
  const at = (name: string) => join(root, name);
  const dir: DataDir = {
    root,
    lock: at('agent.lock'),
    key: at('key.json'),
    assignment: at('assignment.json'),
    facts: at('facts.json'),
    steps: at('steps'),
    builds: at('builds'),
    caches: at('caches'),
    trees: at('trees'),
    bases: at('bases'),
    instances: at('instances'),
    router: at('router'),
  };
  const make = (path: string, mode: number) => {
    mkdirSync(path, { recursive: true, mode });
    chmodSync(path, mode);
  };
  make(dir.root, 0o711);
  checkFormat(dir.root, 'the agent', agentFormat);
  for (const path of [dir.builds, dir.caches, dir.bases, dir.instances]) make(path, 0o711);
  for (const path of [dir.steps, dir.trees, dir.router]) make(path, 0o700);
  return dir;
}
