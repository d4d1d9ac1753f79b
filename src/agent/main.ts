/**
 * The agent as a program: `paas-agent --data DIR --user-data FILE [--address A] [--name N] [--cpu N] [--memory MB]
 * [--log FILE]` (the file that standard error goes to, if it is one: it is kept small).
 * The same file is the router program on a host that has this role: `paas-agent router …`.
 *
 * SIGTERM and SIGINT end the agent alone: instances and the router go on, and the next agent takes them up again.
 */
import { readFileSync, realpathSync, writeSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { agentUserData, type AgentUserData } from '../shared/contracts/agent.ts';
import { boundedLog } from '../shared/bounded-log.ts';
import { asPaasError, errnoOf, PaasError } from '../shared/errors.ts';
import { acquireLock } from '../shared/lock-file.ts';
import { version } from '../shared/version.ts';
import { isLoopback, runAgent } from './agent.ts';
import { createLog } from './log.ts';
import { openDataDir } from './state.ts';

const usage =
  'usage: paas-agent --data DIR --user-data FILE [--address A] [--name N] [--cpu CORES] [--memory MB] [--log FILE]';

interface Flags {
  data: string;
  userData: string;
  address: string | undefined;
  name: string | undefined;
  cpu: number | undefined;
  memoryMb: number | undefined;
  log: string | undefined;
}

/**
 * Runs until SIGTERM or SIGINT.
 * @param write takes the lines of the agent's own log
 * @returns the exit code
 * @throws PaasError usage, locked (another agent runs on the data directory), conflict, corrupt
 */
export async function main(
  argv: string[],
  env: NodeJS.ProcessEnv,
  write: (line: string) => void = writeLog,
): Promise<number> {
  if (argv[0] === 'router') {
    const router = await import('../router/embedded/main.ts');
    return router.main(argv.slice(1), env);
  }
  const flags = parseFlags(argv);
  const log = createLog(flags.log === undefined ? write : boundedLog(flags.log, write));
  // Modes of what apps get are given in full wherever it matters.
  process.umask(0o022);
  const userData = readUserData(flags.userData);
  const dir = openDataDir(flags.data);
  const lock = acquireLock(dir.lock, `the data directory ${dir.root} of an agent`);
  const stop = new AbortController();
  const onSignal = () => stop.abort(new PaasError('interrupted', 'the agent was told to stop'));
  process.once('SIGTERM', onSignal);
  process.once('SIGINT', onSignal);
  // Started from a terminal or by a program that goes away: neither may end the agent.
  process.on('SIGHUP', () => undefined);
  process.on('unhandledRejection', (error) => {
    log.error('a failure that nobody handled', { error: error instanceof Error ? error.stack : String(error) });
  });
  try {
    log.info('agent starts', { version, pid: process.pid, node: process.version, data: dir.root });
    const self = fileURLToPath(import.meta.url);
    await runAgent(
      {
        dir,
        userData,
        env,
        log,
        cpu: flags.cpu,
        memoryMb: flags.memoryMb,
        name: flags.name ?? userData.name ?? userData.hostId,
        address: flags.address ?? defaultAddress(userData.controlUrl),
        routerProgram: [process.execPath, self, 'router'],
      },
      stop.signal,
    );
    log.info('agent stopped; instances go on');
    return 0;
  } catch (error) {
    const { code, message, hint } = asPaasError(error);
    log.error('agent failed', { code, error: message, hint });
    throw error;
  } finally {
    process.removeListener('SIGTERM', onSignal);
    process.removeListener('SIGINT', onSignal);
    lock.release();
  }
}

function parseFlags(argv: string[]): Flags {
  const text = { type: 'string' } as const;
  let values: Record<string, string | undefined>;
  try {
    const options = { data: text, 'user-data': text, address: text, name: text, cpu: text, memory: text, log: text };
    ({ values } = parseArgs({ args: argv, options, strict: true }));
  } catch (cause) {
    throw new PaasError('usage', (cause as Error).message, { hint: usage, cause });
  }
  const required = (name: string): string => {
    const value = values[name];
    if (value === undefined || value === '') throw new PaasError('usage', `--${name} is missing`, { hint: usage });
    return resolve(value);
  };
  const number = (name: string): number | undefined => {
    const value = values[name];
    if (value === undefined) return undefined;
    const parsed = Number(value);
    if (!(parsed > 0)) throw new PaasError('usage', `--${name} ${value}: must be a number above 0`, { hint: usage });
    return parsed;
  };
  const memoryMb = number('memory');
  return {
    data: required('data'),
    userData: required('user-data'),
    address: values['address'],
    name: values['name'],
    cpu: number('cpu'),
    memoryMb: memoryMb === undefined ? undefined : Math.floor(memoryMb),
    log: values['log'],
  };
}

/** What the host was made with. @throws PaasError usage, without a word of the text, which holds the token */
export function readUserData(path: string): AgentUserData {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new PaasError('usage', `the user-data file ${path} cannot be read`, { hint: usage, cause });
  }
  try {
    const userData = agentUserData.parse(JSON.parse(text));
    const { protocol } = new URL(userData.controlUrl);
    if (protocol !== 'http:' && protocol !== 'https:') throw new Error(`controlUrl begins with ${protocol}`);
    return userData;
  } catch (cause) {
    // Neither the text nor the cause is shown: both may hold the token.
    throw new PaasError('usage', `the user-data file ${path} is not what an agent needs`, {
      hint: 'It is a JSON object with controlUrl (http or https), hostId, token and roles.',
      cause,
    });
  }
}

/** The address that routers reach this host at, when nobody says. */
function defaultAddress(controlUrl: string): string {
  if (isLoopback(controlUrl)) return '127.0.0.1';
  for (const addresses of Object.values(networkInterfaces())) {
    const found = addresses?.find(({ family, internal }) => family === 'IPv4' && !internal);
    if (found) return found.address;
  }
  throw new PaasError('usage', 'this host has no IPv4 address of its own', { hint: 'Give it with --address.' });
}

/** Run as a program of its own (the bundle is all that a host gets), rather than by bin/paas-agent.js. */
const program = process.argv[1];
if (program !== undefined && isThisFile(program)) {
  main(process.argv.slice(2), process.env).then(
    (code) => (process.exitCode = code),
    (error: unknown) => {
      const { message, hint, exit } = asPaasError(error);
      writeLog(`paas-agent: ${message}\n  ${hint}\n`);
      process.exitCode = exit;
    },
  );
}

/** To standard error, a file or the journal. Whoever reads it may go away, and a disk may be full: the agent stays. */
function writeLog(line: string): void {
  try {
    writeSync(2, line);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}

function isThisFile(path: string): boolean {
  try {
    return realpathSync(path) === fileURLToPath(import.meta.url);
  } catch {
    return false;
  }
}
