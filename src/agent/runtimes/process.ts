/** Driver `process`: a plain process of the host, under a user of its own where the agent is root. */
import path from 'node:path';
import { tryCommand } from './command.ts';
import type { Check, Owner, Runtime, RuntimeCommand, RuntimeSpec } from './port.ts';
import { enterScript, launchScript } from './scripts.ts';
import { asOwner } from './users.ts';

const home = (spec: Pick<RuntimeSpec, 'directory'>): { HOME: string; TMPDIR: string } => ({
  HOME: path.join(spec.directory, 'app'),
  TMPDIR: path.join(spec.directory, 'tmp'),
});

function inside(spec: RuntimeSpec, script: string, args: readonly string[]): RuntimeCommand {
  const argv = [...asOwner(spec.owner), '/bin/sh', '-c', script, 'paas', ...args];
  return { argv, env: { ...spec.env, ...home(spec) } };
}

export const processRuntime: Runtime = {
  kind: 'process',
  home,
  placeOf: ({ host }) => host,
  check: (owner: Owner): Promise<Check> => tryCommand([...asOwner(owner), '/bin/sh', '-c', ':']),
  start: (spec, command) => inside(spec, launchScript, ['exec', command]),
  run: (spec, argv) => inside(spec, enterScript, argv),
  exec: (spec, argv) => inside(spec, enterScript, argv),
  appProcesses: (members) => [...members],
  firstProcess: (members, app) => members.find(({ pid }) => pid === app),
};
