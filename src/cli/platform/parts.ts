/** Which part of this machine's platform runs, for `paas status` when the control plane does not answer. */
import { existsSync } from 'node:fs';
import { readPlatformConfig } from './config.ts';
import { platformFiles } from './files.ts';
import { runningCloud, runningServer } from './processes.ts';

export interface Part {
  name: string;
  state: 'running' | 'starting' | 'down';
  detail: string;
}

/** The parts of the platform that answers (or should) at `url`; null when that is not this machine's. */
export function localParts(home: string, url: string): Part[] | null {
  const files = platformFiles(home);
  if (!existsSync(files.config)) return null;
  const config = readPlatformConfig(files);
  if (!config || url !== `http://${config.listen.host}:${config.listen.port}`) return null;
  const server = runningServer(files);
  const cloud = runningCloud(files);
  const pid = (process: { pid: number }): string => `process ${process.pid}`;
  return [
    {
      name: 'control plane',
      state: server === null ? 'down' : server.endpoint === null ? 'starting' : 'running',
      detail: server === null ? `its log: ${files.serverLog}` : pid(server.process),
    },
    {
      name: 'cloud',
      state: cloud === null ? 'down' : 'running',
      detail: cloud === null ? `its log: ${files.cloudLog}` : pid(cloud),
    },
  ];
}
