/**
 * Interactive commands: `paas exec` in a running instance, `paas run` in a fresh one. The control plane connects the
 * client's WebSocket with the agent's link and keeps nothing.
 *
 *   opened (waits for the client) ─► attached ─► exited | client gone (hang-up) | host gone (failed)
 */
import type { WebSocket } from 'ws';
import * as z from 'zod/mini';
import {
  sessionInput,
  sessionSignal,
  type AgentMessage,
  type ControlMessage,
  type SessionOpen,
} from '../../shared/contracts/agent.ts';
import { PaasError } from '../../shared/errors.ts';
import { newSecret } from '../../shared/ids.ts';
import type { Hub } from '../agents/hub.ts';
import type { Logger } from '../logger.ts';

type FromAgent = Extract<AgentMessage, { type: 'sessionTaken' | 'sessionOutput' | 'sessionExit' }>;

interface Session {
  hostId: string;
  keyId: string;
  open: ControlMessage & { type: 'sessionOpen' };
  client: WebSocket | null;
  timer: NodeJS.Timeout;
}

const attachWithinMs = 30_000;
const fromClient = z.discriminatedUnion('type', [sessionInput, sessionSignal]);

export class Sessions {
  readonly #hub: Hub;
  readonly #logger: Logger;
  readonly #sessions = new Map<string, Session>();

  constructor(hub: Hub, logger: Logger) {
    this.#hub = hub;
    this.#logger = logger;
  }

  /** Prepares a session; it starts when the client attaches. Returns its id, which only the same key may use. */
  prepare(hostId: string, keyId: string, open: Omit<SessionOpen, 'type' | 'session'>): string {
    const id = `ses_${newSecret(18)}`;
    const timer = setTimeout(() => this.#end(id), attachWithinMs);
    this.#sessions.set(id, {
      hostId,
      keyId,
      open: { type: 'sessionOpen', session: id, flow: true, ...open },
      client: null,
      timer,
    });
    return id;
  }

  /** Connects the client. @throws PaasError not_found */
  attach(id: string, keyId: string, client: WebSocket): void {
    const session = this.#sessions.get(id);
    if (session?.keyId !== keyId || session.client)
      throw new PaasError('not_found', 'There is no such session, or it was used.');
    clearTimeout(session.timer);
    session.client = client;
    client.on('message', (data) => this.#receive(id, session, data as Buffer));
    client.on('close', () => {
      if (!this.#sessions.has(id)) return;
      this.#hub.send(session.hostId, { type: 'sessionSignal', session: id, signal: 'SIGHUP' });
      this.#hub.send(session.hostId, { type: 'sessionInput', session: id, data: null });
      this.#end(id);
    });
    client.on('error', (error) => this.#logger.warn('a session client failed', { error: error.message }));
    if (!this.#hub.send(session.hostId, session.open)) {
      this.#fail(id, session, 'the host does not answer');
    }
  }

  #receive(id: string, session: Session, data: Buffer): void {
    let parsed: z.infer<typeof fromClient>;
    try {
      parsed = fromClient.parse(JSON.parse(data.toString('utf8')));
    } catch {
      session.client?.close(4001, 'bad_request');
      return;
    }
    if (!this.#hub.send(session.hostId, { ...parsed, session: id }))
      this.#fail(id, session, 'the host does not answer');
  }

  /** What the agent says of a session goes to its client, if the host is the session's. */
  fromAgent(hostId: string, message: FromAgent): void {
    const session = this.#sessions.get(message.session);
    if (session?.hostId !== hostId) return;
    session.client?.send(JSON.stringify(message));
    if (message.type !== 'sessionExit') return;
    this.#end(message.session);
    session.client?.close(1000);
  }

  /** Whether a session on this host runs with this image's tree: then its agent may fetch it. */
  reads(hostId: string, tree: string): boolean {
    return [...this.#sessions.values()].some(
      ({ hostId: host, open: { target } }) => host === hostId && 'run' in target && target.run.image.tree === tree,
    );
  }

  /** A host's link is gone, and with it its sessions. */
  hostClosed(hostId: string): void {
    for (const [id, session] of this.#sessions) {
      if (session.hostId === hostId && session.client)
        this.#fail(id, session, 'the link to the host broke; the command may still run');
    }
  }

  #fail(id: string, session: Session, error: string): void {
    session.client?.send(JSON.stringify({ type: 'sessionExit', session: id, code: 255, error }));
    this.#end(id);
    session.client?.close(1011, 'session failed');
  }

  #end(id: string): void {
    const session = this.#sessions.get(id);
    if (!session) return;
    clearTimeout(session.timer);
    this.#sessions.delete(id);
  }
}
