/**
 * The agents' links, as seen by the control plane. It knows who is connected and speaks the protocol of
 * contracts/agent; what messages mean is for the handlers.
 *
 *   connected ─ hello ─► welcomed ◄─► reports, logs, steps ─► closed
 */
import type { WebSocket, RawData } from 'ws';
import * as z from 'zod/mini';
import {
  agentMessage,
  agentProtocol,
  logBlock,
  type AgentMessage,
  type ControlMessage,
  type LogBlock,
} from '../../shared/contracts/agent.ts';
import { PaasError } from '../../shared/errors.ts';
import { decodeFrame } from '../../shared/frames.ts';
import { describeIssues } from '../../shared/issues.ts';
import type { Logger } from '../logger.ts';

export interface HubHandlers {
  /** Answers what to send first: the welcome, the assignment, … */
  hello(hostId: string, message: Extract<AgentMessage, { type: 'hello' }>): Promise<ControlMessage[]>;
  message(hostId: string, message: Exclude<AgentMessage, { type: 'hello' }>): Promise<void>;
  logs(hostId: string, header: LogBlock, payload: Buffer): Promise<void>;
  closed(hostId: string): void;
}

interface Link {
  socket: WebSocket;
  hostId: string;
  welcomed: boolean;
  /** A message was refused: what followed it is not looked at, the agent says it again on its next link. */
  failed: boolean;
  lastSeen: number;
  /** Messages of one agent are handled in their order. */
  queue: Promise<void>;
}

/** Agents that have more than this unsent are cut off: they are not reading. */
const maxBuffered = 64 << 20;

export class Hub {
  readonly #links = new Map<string, Link>();
  readonly #logger: Logger;
  #handlers: HubHandlers | null = null;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  handle(handlers: HubHandlers): void {
    this.#handlers = handlers;
  }

  /** Takes over an authenticated WebSocket of a host's agent; an older link of the same host is closed. */
  attach(hostId: string, socket: WebSocket): void {
    this.#links.get(hostId)?.socket.close(4000, 'replaced by a newer link');
    const link: Link = {
      ...{ socket, hostId, welcomed: false, failed: false },
      ...{ lastSeen: Date.now(), queue: Promise.resolve() },
    };
    this.#links.set(hostId, link);
    const touch = () => (link.lastSeen = Date.now());
    socket.on('ping', touch);
    socket.on('pong', touch);
    socket.on('message', (data, isBinary) => {
      touch();
      link.queue = link.queue
        .then(() => this.#receive(link, data, isBinary))
        .catch((error: unknown) => this.#fail(link, error));
    });
    socket.on('error', (error) => this.#logger.warn('agent link failed', { hostId, error: error.message }));
    socket.on('close', () => {
      if (this.#links.get(hostId) !== link) return;
      this.#links.delete(hostId);
      this.#handlers?.closed(hostId);
    });
  }

  async #receive(link: Link, data: RawData, isBinary: boolean): Promise<void> {
    const handlers = this.#handlers;
    if (!handlers || link.failed) return;
    const bytes = Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
    if (isBinary) {
      const { header, payload } = decodeFrame(bytes);
      await handlers.logs(link.hostId, parse(logBlock, header), payload);
      return;
    }
    const message = parse(agentMessage, parseJson(bytes));
    if (message.type !== 'hello') {
      if (link.welcomed) await handlers.message(link.hostId, message);
      return;
    }
    if (message.protocol !== agentProtocol) {
      throw new PaasError(
        'unsupported',
        `The agent speaks protocol ${message.protocol}, this server ${agentProtocol}.`,
      );
    }
    if (message.hostId !== link.hostId) throw new PaasError('not_allowed', 'The agent claims to be another host.');
    for (const answer of await handlers.hello(link.hostId, message)) send(link, answer);
    link.welcomed = true;
  }

  #fail(link: Link, error: unknown): void {
    link.failed = true;
    this.#logger.error('a message of an agent was refused; its link is closed', error, { hostId: link.hostId });
    link.socket.close(4001, error instanceof PaasError ? error.code : 'internal');
  }

  /** Sends to a connected and welcomed agent; false when there is none: its next hello brings it up to date. */
  send(hostId: string, message: ControlMessage): boolean {
    const link = this.#links.get(hostId);
    if (!link?.welcomed) return false;
    if (link.socket.bufferedAmount > maxBuffered) {
      link.socket.terminate();
      return false;
    }
    send(link, message);
    return true;
  }

  connected(hostId: string): boolean {
    return this.#links.get(hostId)?.welcomed === true;
  }

  /** When the host was last heard of on its present link, in ms; null without a link. */
  lastSeen(hostId: string): number | null {
    return this.#links.get(hostId)?.lastSeen ?? null;
  }

  /** Ends a link that has gone silent. */
  drop(hostId: string): void {
    this.#links.get(hostId)?.socket.terminate();
  }

  /** Says goodbye to all agents, so that they come back at once when the next server listens. */
  async close(): Promise<void> {
    const links = [...this.#links.values()];
    for (const { socket } of links) socket.close(1012, 'server restarts');
    await Promise.all(links.map(({ queue }) => queue));
    for (const { socket } of links) socket.terminate();
  }
}

function send(link: Link, message: ControlMessage): void {
  if (link.socket.readyState === link.socket.OPEN) link.socket.send(JSON.stringify(message));
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new PaasError('bad_request', 'A message of an agent is not JSON.', { cause });
  }
}

function parse<T extends z.ZodMiniType>(schema: T, value: unknown): z.infer<T> {
  const result = z.safeParse(schema, value);
  if (result.success) return result.data;
  throw new PaasError('bad_request', `A message of an agent is malformed: ${describeIssues(result.error.issues)}`);
}
