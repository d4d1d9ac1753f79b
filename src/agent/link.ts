/**
 * The link to the control plane: one WebSocket, dialled again whenever it is lost.
 *
 *   waiting ──► dialling ──► hello sent ──► up (welcome received) ──► lost ──► waiting …
 *
 * It knows how to connect, to say hello first and to keep the connection honest (ping, schema, sizes). What the
 * messages mean is the business of `handlers`.
 */
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket, type RawData } from 'ws';
import { controlMessage, type AgentMessage, type ControlMessage } from '../shared/contracts/agent.ts';
import { PaasError } from '../shared/errors.ts';
import { encodeFrame } from '../shared/frames.ts';
import { wait, type Backoff } from './link-backoff.ts';
import { failureOf, type ControlHttp } from './link-http.ts';
import { errorFields, type Log } from './log.ts';

export type Welcome = Extract<ControlMessage, { type: 'welcome' }>;

export interface LinkHandlers {
  /** The first message of every connection. */
  hello(): Promise<AgentMessage> | AgentMessage;
  /** The link is up: whatever was held back may be sent now. */
  onUp(welcome: Welcome): void;
  onMessage(message: Exclude<ControlMessage, Welcome>): void;
  onDown(): void;
}

export interface LinkOptions {
  http: ControlHttp;
  handlers: LinkHandlers;
  backoff: Backoff;
  log: Log;
}

export interface Link {
  readonly up: boolean;
  /** Sends a message if the link is up, else drops it: everything that matters is said again after the next hello. */
  send(message: AgentMessage): boolean;
  /** Hands a log block over. False when the link is down or has enough to send: it is to be offered again. */
  sendBlock(header: unknown, payload: Uint8Array): boolean;
  /** Resolves once the queue of unsent bytes is short again (or the link is lost). */
  drained(): Promise<void>;
  /** Dials until `signal` is aborted; then closes and resolves. */
  run(signal: AbortSignal): Promise<void>;
}

export const linkPath = '/v1/agents/link';
const maxPayload = 64 << 20;
const answerWithinMs = 15_000;
const highWater = 4 << 20;
/** Close code by which a restarting server asks to come back at once (RFC 6455 registry: 1012 Service Restart). */
const serviceRestart = 1012;

const knownTypes = new Set<unknown>(controlMessage.def.options.map((option) => [...option.shape.type.def.values][0]));

export function createLink(options: LinkOptions): Link {
  const { http, handlers, backoff, log } = options;
  let socket: WebSocket | undefined;
  let up = false;

  /** One connection from dialling to its end. Resolves to the wait before the next attempt, in ms. */
  const connectOnce = (signal: AbortSignal) =>
    new Promise<number>((resolve) => {
      const url = new URL(linkPath, http.baseUrl);
      const ws = new WebSocket(url.href.replace(/^http/, 'ws'), {
        headers: http.sign('GET', url.href),
        maxPayload,
        handshakeTimeout: answerWithinMs,
        perMessageDeflate: false,
        ...(http.ca === undefined ? {} : { ca: http.ca }),
      });
      socket = ws;
      let heartbeat: NodeJS.Timeout | undefined;
      let failure: unknown;
      let refused: Promise<number> | undefined;
      const giveUp = setTimeout(() => {
        failure ??= new PaasError('timeout', `no welcome from ${url.host} within ${answerWithinMs / 1000} s`);
        ws.terminate();
      }, answerWithinMs);
      const stop = () => ws.close(1001);
      signal.addEventListener('abort', stop, { once: true });

      ws.on('open', () => void sayHello(ws));
      ws.on('unexpected-response', (_request, response) => {
        refused = onRefusal(response);
        void refused.finally(() => ws.terminate());
      });
      ws.on('error', (error) => (failure ??= error));
      ws.on('message', (data, binary) => {
        try {
          const message = parse(data, binary);
          if (message?.type === 'welcome') {
            clearTimeout(giveUp);
            heartbeat ??= keepHonest(ws, message.heartbeatMs, (error) => (failure ??= error));
            backoff.reset();
            up = true;
            log.info('link up', { server: message.serverVersion });
            handlers.onUp(message);
          } else if (message && up) handlers.onMessage(message);
          else if (message) throw new PaasError('bad_request', `received ${message.type} before the welcome`);
        } catch (error) {
          failure ??= error;
          log.error('closing the link', errorFields(error));
          ws.close(1008, 'malformed message');
          // A peer that speaks nonsense may not answer the close either.
          setTimeout(() => ws.terminate(), 1000).unref();
        }
      });
      ws.on('close', (code) => {
        clearTimeout(giveUp);
        clearInterval(heartbeat);
        signal.removeEventListener('abort', stop);
        const wasUp = up;
        up = false;
        socket = undefined;
        if (wasUp) handlers.onDown();
        if (!signal.aborted && !refused) {
          log.warn(wasUp ? 'link lost' : 'cannot link', {
            closeCode: code,
            ...(failure === undefined ? {} : errorFields(failure)),
          });
        }
        if (refused) void refused.then(resolve);
        else resolve(wasUp && code === serviceRestart ? 10 : backoff.next());
      });
    });

  const sayHello = async (ws: WebSocket) => {
    try {
      ws.send(JSON.stringify(await handlers.hello()));
    } catch (error) {
      log.error('cannot say hello', errorFields(error));
      ws.terminate();
    }
  };

  const onRefusal = async (response: IncomingMessage): Promise<number> => {
    const error =
      (await failureOf(response).catch((thrown: unknown) => thrown as PaasError)) ??
      new PaasError(
        'unavailable',
        `the control plane answered HTTP ${String(response.statusCode)} instead of an upgrade`,
      );
    if (error.code === 'clock_skew' && http.learnClock(response.headers.date)) {
      log.warn("this host's clock is off; going by the control plane's", { serverTime: response.headers.date });
      return 0;
    }
    // not_authenticated: the host was removed or its key revoked, which a person has to mend.
    log.error('the control plane refuses the link', errorFields(error));
    return error.retryable ? backoff.next() : 5000 + backoff.next();
  };

  const parse = (data: RawData, binary: boolean): ControlMessage | undefined => {
    if (binary) throw new PaasError('bad_request', 'the control plane sent a binary frame');
    const value: unknown = JSON.parse((data as Buffer).toString('utf8'));
    const parsed = controlMessage.safeParse(value);
    if (parsed.success) return parsed.data;
    const type: unknown = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
    if (typeof type !== 'string' || knownTypes.has(type)) {
      throw new PaasError('bad_request', `malformed message ${String(type)}: ${where(parsed.error.issues)}`);
    }
    log.warn('ignoring a message of an unknown type (a newer control plane?)', { type });
    return undefined;
  };

  return {
    get up() {
      return up;
    },
    send(message) {
      if (!up || !socket) return false;
      socket.send(JSON.stringify(message));
      return true;
    },
    sendBlock(header, payload) {
      if (!up || !socket || socket.bufferedAmount >= highWater) return false;
      socket.send(encodeFrame(header, payload));
      return true;
    },
    async drained() {
      while (up && socket && socket.bufferedAmount >= highWater) await sleep(10);
    },
    async run(signal) {
      while (!signal.aborted) {
        const pause = await connectOnce(signal);
        await wait(pause, signal).catch(() => undefined);
      }
    },
  };
}

/** Pings at every heartbeat; ends a connection on which nothing at all came for three of them. */
function keepHonest(ws: WebSocket, heartbeatMs: number, fail: (error: PaasError) => void): NodeJS.Timeout {
  const every = Math.min(Math.max(heartbeatMs, 100), 60_000);
  let silent = 0;
  const heard = () => (silent = 0);
  ws.on('pong', heard);
  ws.on('ping', heard);
  ws.on('message', heard);
  return setInterval(() => {
    silent += 1;
    if (silent > 3) {
      fail(new PaasError('timeout', `the control plane sent nothing for ${silent * every} ms, not even a pong`));
      ws.terminate();
    } else ws.ping();
  }, every);
}

/** Where a message broke its schema, without its values (they may be secret). */
function where(issues: readonly { path: PropertyKey[]; code?: string }[]): string {
  return issues
    .slice(0, 3)
    .map((issue) => `${issue.path.map(String).join('.') || '(root)'}: ${issue.code ?? 'invalid'}`)
    .join('; ');
}
