/** Starts the embedded cloud of this machine, as a process of its own that outlives the control plane. */
import { checkLocalCloudState, ensureCredentials, type LocalCloudEndpoint } from '../../localcloud/client.ts';
import type { Progress } from '../ui/progress.ts';
import { hostRoot, inInstallation, program, type PlatformFiles } from './files.ts';
import { logSize, runningCloud, waitFor } from './processes.ts';
import { programEnvironment, startDetached } from './spawn.ts';

/** Resolves when it listens; the hosts it knows are booted or taken over by then. */
export async function startCloud(
  files: PlatformFiles,
  options: { env: NodeJS.ProcessEnv; signal: AbortSignal; progress: Progress },
): Promise<LocalCloudEndpoint> {
  options.progress.at('Starting the embedded cloud');
  ensureCredentials(files.cloud);
  // Read here first, so that a damaged file is reported as such and not as a program that ended.
  checkLocalCloudState(files.cloud);
  const places = [
    '--data',
    files.cloud,
    '--host-root',
    hostRoot(files),
    '--agent',
    inInstallation('bin/paas-agent.js'),
  ];
  const script = program('paas-cloud');
  const args = [...places, '--listen', '127.0.0.1:0'];
  const logFrom = logSize(files.cloudLog);
  const started = startDetached(
    { script, args, cwd: files.root, env: programEnvironment(options.env) },
    files.cloudLog,
  );
  const what = 'the embedded cloud to listen';
  return waitFor(() => runningCloud(files), {
    what,
    timeoutMs: 20_000,
    log: files.cloudLog,
    logFrom,
    signal: options.signal,
    program: started,
  });
}
