/** HTTP as bytes, for what no well-behaved client would send, and small servers that are closed with their test. */
import {
  request,
  Agent,
  createServer,
  type IncomingMessage,
  type RequestListener,
  type RequestOptions,
} from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { choosePort } from '../../src/agent/ports.ts';

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  trailers: IncomingMessage['trailers'];
  body: string;
}

/** One request with node's own client; `agent: false` closes the connection behind it. */
export function fetchText(url: string, options: RequestOptions & { body?: string | Buffer } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, ...rest } = options;
    const outgoing = request(url, { agent: false, ...rest }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const { headers, trailers, statusCode = 0 } = response;
        resolve({ status: statusCode, headers, trailers, body: Buffer.concat(parts).toString() });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** A client that keeps its connections, at most `maxSockets`. */
export function keepAliveAgent(maxSockets = 1): Agent {
  return new Agent({ keepAlive: true, maxSockets });
}

export interface RawClient {
  socket: Socket;
  write(text: string | Buffer): void;
  /** All that was received, as latin1. */
  readonly received: string;
  /** Resolves when what was received matches; rejects when the connection ends without. */
  until(pattern: RegExp): Promise<string>;
  /** Resolves with everything when the other side has ended. */
  ended(): Promise<string>;
}

export function rawClient(port: number, host = '127.0.0.1'): RawClient {
  const socket = connect({ port, host, allowHalfOpen: true });
  let received = '';
  let over = false;
  const watchers = new Set<() => void>();
  const changed = (): void => watchers.forEach((watch) => watch());
  socket.on('data', (data) => {
    received += data.toString('latin1');
    changed();
  });
  for (const event of ['end', 'close', 'error']) {
    socket.on(event, () => {
      over = true;
      changed();
    });
  }
  const when = (ready: () => boolean, what: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        if (!ready() && !over) return;
        watchers.delete(check);
        if (ready()) resolve(received);
        else reject(new Error(`connection over before ${what}; received ${JSON.stringify(received)}`));
      };
      watchers.add(check);
      check();
    });
  return {
    socket,
    write: (text) => void socket.write(text),
    get received() {
      return received;
    },
    until: (pattern) => when(() => pattern.test(received), String(pattern)),
    ended: () => when(() => over, 'the end'),
  };
}

/** Sends bytes on a connection of their own and gives everything that comes until the other side closes. */
export async function exchange(port: number, text: string | Buffer): Promise<string> {
  const client = rawClient(port);
  client.write(text);
  try {
    return await client.ended();
  } finally {
    client.socket.destroy();
  }
}

export interface TestServer {
  port: number;
  /** Connections accepted so far. */
  connections(): number;
  /** Those open now. */
  sockets: Set<Socket>;
  close(): Promise<void>;
}

export async function httpServer(listener: RequestListener, setUp?: (server: ReturnType<typeof createServer>) => void) {
  const server = createServer(listener);
  setUp?.(server);
  return testServer(server);
}

/** A server of raw connections. */
export async function tcpServer(onConnection: (socket: Socket) => void): Promise<TestServer> {
  return testServer(
    createTcpServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      onConnection(socket);
    }),
  );
}

async function testServer(server: Server): Promise<TestServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    sockets,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/**
 * A port that nobody listens on. It lies below those that the kernel gives out by itself: neither a server that takes
 * any port nor a connection's own end gets it meanwhile.
 */
export const freePort = (): Promise<number> => choosePort({ from: 10_000, to: 19_999 }, new Set());

/** Waits for a condition, looking every 10 ms. @throws what it waited for after 20 s */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited 20 s for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
