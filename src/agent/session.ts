/**
 * Interactive commands: `paas exec` in an instance, `paas run` in a fresh one. A session lives no longer than the link
 * it came over: nobody could see its output.
 *
 *   sessionOpen ─► starting ─► running ─► exited: sessionExit
 *                                 └ SIGHUP, link lost, input beyond bounds: whole tree ended, SIGKILL after a while
 *
 * Input waits in memory until the command takes it. Clients that go by `sessionTaken` never have much of it here; one
 * that does not is cut off beyond a bound.
 */
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { AgentMessage, ControlMessage, SessionOpen } from '../shared/contracts/agent.ts';
import type { InstanceSpec } from '../shared/contracts/instances.ts';
import { asPaasError, PaasError } from '../shared/errors.ts';
import { processIdentity, signalTree, type ProcessIdentity } from '../shared/processes.ts';
import type { Link } from './link.ts';
import { errorFields, type Log } from './log.ts';
import { spawnCommand } from './runtimes/command.ts';
import type { RuntimeCommand } from './runtimes/port.ts';
import { passOutput } from './session-output.ts';
import { terminalPrefix } from './steps/terminal.ts';

/** Where a session's command runs; given by the supervisor. */
export interface SessionTargets {
  /** A command inside a running instance. Throws `not_found` or `conflict` when it does not run. */
  exec(instance: string, argv: readonly string[]): Promise<RuntimeCommand>;
  /** A command in a fresh surrounding of an instance's kind; `end` removes it. */
  run(spec: InstanceSpec, argv: readonly string[]): Promise<{ command: RuntimeCommand; end(): Promise<void> }>;
}

type SessionMessage = Extract<ControlMessage, { type: 'sessionOpen' | 'sessionInput' | 'sessionSignal' }>;

export interface Sessions {
  handle(message: SessionMessage): void;
  /** Ends all: the link is gone, or the agent goes. */
  endAll(): void;
}

const maxPendingInputMb = 16;
const maxSessions = 100;
const hangUpMs = 5000;
/** After the command's end its children may still write; then they are ended too. */
const lingerMs = 200;

interface Session {
  id: string;
  /** The client wants to know how much was taken. */
  flow: boolean;
  /** Bytes of input that the command has not taken. */
  pending: number;
  child?: ChildProcess;
  identity?: ProcessIdentity | null;
  /** Came before the command was started. */
  early: SessionMessage[];
  ended: boolean;
}

export function createSessions(options: {
  link: Pick<Link, 'send' | 'drained'>;
  targets: SessionTargets;
  log: Log;
}): Sessions {
  const { link, targets, log } = options;
  const sessions = new Map<string, Session>();

  const say = (session: string, stream: 'stdout' | 'stderr', data: Buffer): boolean =>
    link.send({ type: 'sessionOutput', session, stream, data: data.toString('base64') });

  const signal = (session: Session, name: NodeJS.Signals) => {
    if (session.identity) signalTree(session.identity, name);
  };

  const hangUp = (session: Session) => {
    session.ended = true;
    session.early = [];
    signal(session, 'SIGHUP');
    setTimeout(() => signal(session, 'SIGKILL'), hangUpMs).unref();
  };

  const open = async (message: SessionOpen, session: Session): Promise<number> => {
    const id = message.session;
    const { target } = message;
    const fresh = 'run' in target ? await targets.run(target.run, message.argv) : undefined;
    try {
      const command = 'exec' in target ? await targets.exec(target.exec, message.argv) : fresh!.command;
      let prefix: string[] | undefined;
      if (message.tty) {
        prefix = await terminalPrefix(message.tty);
        if (!prefix) say(id, 'stderr', Buffer.from('no terminal available on this host; going on without one\n'));
      }
      if (session.ended) throw new PaasError('interrupted', 'the session was closed before it began');
      const env = prefix ? { ...command.env, TERM: 'xterm-256color' } : command.env;
      return await runChild(id, session, { ...command, env }, prefix);
    } finally {
      await fresh?.end();
    }
  };

  const runChild = async (id: string, session: Session, command: RuntimeCommand, prefix: string[] | undefined) => {
    const child = spawnCommand(command, { stdio: ['pipe', 'pipe', 'pipe'], ...(prefix ? { prefix } : {}) });
    session.child = child;
    const spawned = await new Promise<Error | undefined>((resolve) => {
      child.once('error', resolve);
      child.once('spawn', () => resolve(undefined));
    });
    if (spawned)
      throw new PaasError('internal', `the command cannot be started: ${spawned.message}`, { cause: spawned });
    session.identity = processIdentity(child.pid!);
    // A command that does not read its input is no failure.
    child.stdin!.on('error', () => undefined);
    const exited = new Promise<number>((resolve) => {
      child.once('exit', (code, name) => resolve(code ?? 128 + (name ? constants.signals[name] : 0)));
    });
    for (const early of session.early.splice(0)) feed(session, early);
    const output = passOutput(
      { stdout: child.stdout!, stderr: child.stderr! },
      {
        pass: (stream, part) => say(id, stream, part),
        drained: () => link.drained(),
        failed: (error) => log.warn('the output of a session broke off', { session: id, ...errorFields(error) }),
      },
    );
    const code = await exited;
    const linger = setTimeout(() => {
      signal(session, 'SIGKILL');
      output.finish();
    }, lingerMs);
    await output.done;
    clearTimeout(linger);
    return code;
  };

  const feed = (session: Session, message: SessionMessage) => {
    const stdin = session.child?.stdin;
    if (message.type === 'sessionSignal') {
      if (message.signal === 'SIGHUP') hangUp(session);
      else signal(session, message.signal);
    } else if (message.type === 'sessionInput' && stdin) {
      if (message.data === null) {
        stdin.end();
        return;
      }
      const bytes = Buffer.from(message.data, 'base64');
      const taken = () => {
        session.pending -= bytes.length;
        if (session.flow) link.send({ type: 'sessionTaken', session: session.id, bytes: bytes.length });
      };
      if (stdin.writable) stdin.write(bytes, taken);
      else taken();
    }
  };

  /** Counts what is to be fed. False when it is too much: the session is ended then. */
  const admit = (session: Session, data: string): boolean => {
    if (session.ended) return false;
    session.pending += Buffer.byteLength(data, 'base64');
    if (session.pending <= maxPendingInputMb << 20) return true;
    const reason = `paas: the command is ended: it has not read ${maxPendingInputMb} MiB of its input\n`;
    say(session.id, 'stderr', Buffer.from(reason));
    hangUp(session);
    return false;
  };

  const start = (message: SessionOpen) => {
    const id = message.session;
    if (sessions.has(id)) return;
    const session: Session = { id, flow: message.flow === true, pending: 0, early: [], ended: false };
    sessions.set(id, session);
    const finish = (exit: Omit<Extract<AgentMessage, { type: 'sessionExit' }>, 'type' | 'session'>) => {
      sessions.delete(id);
      link.send({ type: 'sessionExit', session: id, ...exit });
    };
    if (sessions.size > maxSessions) {
      finish({ code: 1, error: `this host has ${maxSessions} sessions open already` });
      return;
    }
    if (session.flow) link.send({ type: 'sessionTaken', session: id, bytes: 0 });
    log.info('session opened', { session: id, kind: 'exec' in message.target ? 'exec' : 'run' });
    open(message, session).then(
      (code) => finish({ code }),
      (thrown: unknown) => {
        const error = asPaasError(thrown);
        log.warn('session failed', { session: id, ...errorFields(thrown) });
        finish({ code: error.exit, error: error.message });
      },
    );
  };

  return {
    handle(message) {
      if (message.type === 'sessionOpen') {
        start(message);
        return;
      }
      const session = sessions.get(message.session);
      // Gone already: what crossed its exit on the way means nothing any more.
      if (!session) return;
      if (message.type === 'sessionInput' && message.data !== null && !admit(session, message.data)) return;
      if (session.identity === undefined && message.type !== 'sessionSignal') session.early.push(message);
      else if (session.identity === undefined) hangUp(session);
      else feed(session, message);
    },
    endAll() {
      for (const session of sessions.values()) hangUp(session);
    },
  };
}
