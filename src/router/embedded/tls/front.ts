/** The listening socket for TLS, there while the table has certificates. */
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Certificate } from '../../../shared/contracts/routes.ts';
import { errnoOf } from '../../../shared/errors.ts';
import { readJsonFileIfSound, writeDurably } from '../../../shared/files.ts';
import { ClientConnection } from '../http/client.ts';
import type { HttpContext } from '../http/context.ts';
import { tlsPort } from '../layout.ts';
import { closing, listening } from '../listening.ts';
import type { RouterOptions } from '../options.ts';
import { certificateFor, certificateSet, noCertificates, secureOptions, type CertificateSet } from './certificates.ts';

const retryMs = 5_000;
const handshakeMs = 10_000;

export class TlsFront {
  readonly #context: HttpContext;
  readonly #options: Pick<RouterOptions, 'address' | 'tlsPort'>;
  readonly #portFile: string;
  readonly #retry: NodeJS.Timeout;
  /** Accepted sockets, also those whose handshake is still under way. */
  readonly #sockets = new Set<Socket>();
  #certificates: CertificateSet = noCertificates;
  #server: Server | null = null;
  #closing = false;
  /** Where it listens; null while it does not. */
  #port: number | null = null;
  /** Why it does not listen although it should. */
  #problem: string | null = null;
  /** Changes of the listening socket, one after the other. */
  #turn: Promise<void> = Promise.resolve();

  /** @param portFile keeps the port over restarts, where any will do */
  constructor(context: HttpContext, options: Pick<RouterOptions, 'address' | 'tlsPort'>, portFile: string) {
    this.#context = context;
    this.#options = options;
    this.#portFile = portFile;
    this.#retry = setInterval(() => {
      if (this.#problem !== null) void this.#follow();
    }, retryMs);
    this.#retry.unref();
  }

  get port(): number | null {
    return this.#port;
  }

  /** For RouterStatus. */
  problems(): string[] {
    return [...(this.#problem === null ? [] : [this.#problem]), ...this.#certificates.problems];
  }

  /** What a table's certificates will be for `use`. */
  prepare(certificates: readonly Certificate[] = []): CertificateSet {
    return certificateSet(certificates, this.#certificates);
  }

  /** In force for every new handshake; connections stay. Resolves when it listens, or has a problem, or has closed. */
  use(certificates: CertificateSet): Promise<void> {
    this.#certificates = certificates;
    return this.#follow();
  }

  /** Stops accepting; resolves when all connections have ended. */
  async close(): Promise<void> {
    clearInterval(this.#retry);
    // Handshakes under way still need the certificates.
    this.#closing = true;
    await this.#follow();
    await Promise.all([...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  }

  /** Ends all connections. */
  breakOff(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Makes the listening socket what the certificates ask for. */
  #follow(): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      const { tlsPort } = this.#options;
      if (this.#closing || this.#certificates.byName.size === 0 || tlsPort === undefined) this.#unlisten();
      else if (!this.#server) await this.#listen(tlsPort);
    });
    return this.#turn;
  }

  async #listen(wanted: number): Promise<void> {
    const { address } = this.#options;
    const server = this.#makeServer();
    const last = readJsonFileIfSound(this.#portFile, tlsPort)?.port ?? 0;
    try {
      const taken = wanted !== 0 || last === 0 || !(await triedListening(server, address, last));
      if (taken) await listening(server, address, wanted);
      const bound = server.address();
      this.#port = typeof bound === 'object' && bound ? bound.port : wanted;
      if (this.#port !== last) writeDurably(this.#portFile, JSON.stringify(tlsPort.parse({ port: this.#port })));
      this.#server = server;
      this.#problem = null;
    } catch (error) {
      server.close();
      this.#port = null;
      this.#problem = `TLS port ${wanted} on ${address}: ${errnoOf(error) ?? String(error)}`;
    }
  }

  #unlisten(): void {
    if (this.#server) void closing(this.#server);
    this.#server = null;
    this.#port = null;
    this.#problem = null;
  }

  #makeServer(): Server {
    const server = createServer({
      ...secureOptions,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      handshakeTimeout: handshakeMs,
      ALPNProtocols: ['h2', 'http/1.1'],
      // The listener has no certificate of its own: who asks for none, or for a name that has none, gets an alert and no
      // connection (handshake_failure; Node cannot send unrecognized_name). Another app's certificate would only make
      // browsers warn of an attack, and tell strangers which apps are here.
      SNICallback: (name, answer) => answer(null, certificateFor(this.#certificates, name)),
    });
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('secureConnection', (socket) => this.#accept(socket));
    // The client's handshake failed; its socket is closed already.
    server.on('tlsClientError', () => undefined);
    return server;
  }

  #accept(socket: TLSSocket): void {
    if (socket.alpnProtocol === 'h2') this.#context.acceptHttp2(socket);
    else new ClientConnection(socket, this.#context);
  }
}

/** @returns false where the port is taken. @throws the system's error, if another */
async function triedListening(server: Server, address: string, port: number): Promise<boolean> {
  try {
    await listening(server, address, port);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EADDRINUSE') return false;
    throw error;
  }
}
