/**
 * A control plane for the agent's tests: speaks the contracts of src/shared/contracts/agent.ts and transfer.ts over real
 * sockets, parses all that it receives by their schemas, and keeps trees in memory.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import {
  agentMessage,
  enrolRequest,
  logBlock,
  type AgentMessage,
  type Assignment,
  type ControlMessage,
  type LogBlock,
} from '../../src/shared/contracts/agent.ts';
import {
  blobsRequest,
  missingRequest,
  packContentType,
  treesRequest,
  uploadRequest,
} from '../../src/shared/contracts/transfer.ts';
import type { StepResult } from '../../src/shared/contracts/steps.ts';
import { asPaasError, PaasError } from '../../src/shared/errors.ts';
import { decodeFrame } from '../../src/shared/frames.ts';
import { checkContentDigest, createMemoryNonceStore, verifyRequest } from '../../src/shared/signing/index.ts';
import { readPack } from '../../src/shared/tree/unpack.ts';
import { MemoryObjects } from './memory-objects.ts';

export class FakeControl {
  readonly messages: AgentMessage[] = [];
  readonly blocks: { header: LogBlock; text: string }[] = [];
  /** `METHOD path` of every request, in order. */
  readonly requests: string[] = [];
  readonly trees = new MemoryObjects();
  readonly bases = new Map<string, Buffer>();
  readonly tokens = new Map([['token-1', 'hst_1']]);
  readonly keys = new Map<string, string>();
  /** After four of them without an answer the agent gives a link up: more than this process may stall. */
  heartbeatMs = 2000;
  /** Added to this server's clock. */
  skewMs = 0;
  /** Sent after every welcome. */
  assignment: Assignment | undefined;
  acknowledgeLogs = true;
  connections = 0;
  /** Changes what a pack answer sends (to damage or to cut it). */
  tamper: ((pack: Buffer, path: string) => Buffer) | undefined;
  port = 0;
  #server: Server | undefined;
  #sockets: WebSocketServer | undefined;
  #link: WebSocket | undefined;
  #nonces = createMemoryNonceStore();
  readonly #uploads = new Map<string, { bytes: Buffer[]; size: number; finished: boolean }>();
  readonly #positions = new Map<string, number>();

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }
  get linked(): boolean {
    return this.#link !== undefined;
  }

  async start(): Promise<this> {
    const server = createServer((request, response) => void this.#answer(request, response));
    this.#server = server;
    this.#sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      this.#verify(request).then(
        () => this.#sockets!.handleUpgrade(request, socket, head, (ws) => this.#linkUp(ws)),
        (error: unknown) => {
          const { http, code, message, hint, details } = asPaasError(error);
          const body = JSON.stringify({ error: { code, message, hint, details } });
          socket.end(
            `HTTP/1.1 ${http} X\r\nDate: ${this.#date()}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
          );
        },
      );
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    return this;
  }

  /** As `kill -9`: connections break. A later `start` takes the same port. */
  async stop(): Promise<void> {
    this.#link?.terminate();
    this.#sockets?.close();
    const server = this.#server;
    this.#server = undefined;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  }

  send(message: ControlMessage): void {
    this.#link!.send(JSON.stringify(message));
  }
  sendText(text: string): void {
    this.#link!.send(text);
  }
  closeLink(code: number): void {
    this.#link!.close(code);
  }

  /** Assigns these instances with the next generation. */
  assign(instances: Assignment['instances'], keepTrees: string[] = []): void {
    this.assignment = { generation: (this.assignment?.generation ?? 0) + 1, instances, keepTrees };
    if (this.#link) this.send({ type: 'assignment', assignment: this.assignment });
  }

  /** Waits until `find` gives something, which it is asked after every 10 ms. */
  async until<T>(find: () => T | undefined | false, what: string): Promise<T> {
    let found: T | undefined | false;
    await expect.poll(() => Boolean((found = find())), { timeout: 20_000, interval: 10, message: what }).toBe(true);
    return found as T;
  }

  async untilLinked(): Promise<void> {
    await this.until(() => this.linked, 'a link');
  }
  async result(id: string): Promise<StepResult> {
    return this.until(() => {
      for (const message of this.messages)
        if (message.type === 'stepResult' && message.result.id === id) return message.result;
      return undefined;
    }, `the result of step ${id}`);
  }
  /** The latest that was reported of an instance. */
  status(id: string) {
    for (const message of [...this.messages].reverse()) {
      if (message.type !== 'report' && message.type !== 'hello') continue;
      const found = message.instances.find((instance) => instance.id === id);
      if (found) return found;
    }
    return undefined;
  }
  async healthy(id: string) {
    return this.until(() => this.status(id)?.state === 'healthy' && this.status(id), `${id} healthy`);
  }
  output(instance: string, stream = 'stdout'): string {
    const own = this.blocks.filter(({ header }) => header.instance === instance && header.stream === stream);
    return own.map(({ text }) => text).join('');
  }

  #date(): string {
    return new Date(Date.now() + this.skewMs).toUTCString();
  }

  async #verify(request: IncomingMessage): Promise<void> {
    await verifyRequest(
      { method: request.method!, url: request.url!, headers: request.headers },
      { lookup: (keyId) => this.keys.get(keyId) ?? null, nonces: this.#nonces, now: Date.now() + this.skewMs },
    );
  }

  #linkUp(ws: WebSocket): void {
    this.connections += 1;
    ws.on('close', () => {
      if (this.#link === ws) this.#link = undefined;
    });
    ws.on('message', (data, binary) => {
      if (binary) {
        this.#block(ws, data as Buffer);
        return;
      }
      const message = agentMessage.parse(JSON.parse((data as Buffer).toString()));
      this.messages.push(message);
      if (message.type !== 'hello') return;
      const logs = [...this.#positions].map(([key, offset]) => {
        const [instance = '', stream] = key.split(' ');
        return { instance, stream: stream as 'stdout' | 'stderr', offset };
      });
      ws.send(JSON.stringify({ type: 'welcome', serverVersion: 'fake', logs, heartbeatMs: this.heartbeatMs }));
      if (this.assignment) ws.send(JSON.stringify({ type: 'assignment', assignment: this.assignment }));
      this.#link = ws;
    });
  }

  #block(ws: WebSocket, frame: Buffer): void {
    const { header, payload } = decodeFrame(frame);
    const block = logBlock.parse(header);
    const key = `${block.instance} ${block.stream}`;
    expect(block.to - block.from).toBe(payload.length);
    // What comes twice after a broken link is passed over, as the real one does.
    if (block.from !== (this.#positions.get(key) ?? 0)) return;
    this.blocks.push({ header: block, text: payload.toString() });
    this.#positions.set(key, block.to);
    if (!this.acknowledgeLogs) return;
    const position = { instance: block.instance, stream: block.stream, offset: block.to };
    ws.send(JSON.stringify({ type: 'logsAck', positions: [position] }));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    response.setHeader('date', this.#date());
    const path = request.url!.split('?')[0]!;
    this.requests.push(`${request.method!} ${path}`);
    try {
      if (path !== '/v1/agents/enrol') {
        await this.#verify(request);
        if (request.method !== 'GET') checkContentDigest(request.headers, createHash('sha256').update(body).digest());
      }
      const answer = await this.#handle(request, path, body);
      if (Buffer.isBuffer(answer)) {
        response.setHeader('content-type', path.includes('/bases/') ? 'application/x-tar' : packContentType);
        const sent = path.includes('/bases/') ? answer : (this.tamper?.(answer, path) ?? answer);
        response.setHeader('content-length', answer.length);
        if (sent.length < answer.length) response.write(sent, () => response.destroy());
        else response.end(sent);
      } else {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(answer ?? {}));
      }
    } catch (thrown) {
      const { http, code, message, hint, details } = asPaasError(thrown);
      response.statusCode = http;
      response.end(JSON.stringify({ error: { code, message, hint, details } }));
    }
  }

  async #handle(request: IncomingMessage, path: string, body: Buffer): Promise<unknown> {
    const json = (): unknown => JSON.parse(body.toString());
    if (path === '/v1/agents/enrol') {
      const { hostId, token } = enrolRequest.parse(json());
      if (this.tokens.get(token) !== hostId) throw new PaasError('not_authenticated', 'the token was used already');
      this.tokens.delete(token);
      const keyId = `agk_${this.keys.size}`;
      this.keys.set(keyId, `secret-${keyId}`);
      return { keyId, secret: `secret-${keyId}` };
    }
    if (path === '/v1/agents/trees') {
      const { root, have } = treesRequest.parse(json());
      const left = new Set(
        have.flatMap((known) => (this.trees.objects.has(known) ? [...this.trees.reach(known)] : [])),
      );
      return this.trees.pack([...this.trees.reach(root)].filter((digest) => !left.has(digest)));
    }
    if (path === '/v1/agents/blobs') return this.trees.pack(blobsRequest.parse(json()).digests);
    if (path === '/v1/agents/missing') {
      return { missing: missingRequest.parse(json()).digests.filter((digest) => !this.trees.objects.has(digest)) };
    }
    const base = /^\/v1\/agents\/bases\/(.+)$/.exec(path)?.[1];
    if (base !== undefined) {
      const tar = this.bases.get(base);
      if (!tar) throw new PaasError('not_found', 'no such base');
      return tar;
    }
    return this.#upload(request, path, body);
  }

  async #upload(request: IncomingMessage, path: string, body: Buffer): Promise<unknown> {
    if (path === '/v1/agents/uploads') {
      const { bytes } = uploadRequest.parse(JSON.parse(body.toString()));
      const id = `upl_${this.#uploads.size}`;
      this.#uploads.set(id, { bytes: [], size: bytes, finished: false });
      return { id, offset: 0 };
    }
    const [, id, finish] = /^\/v1\/agents\/uploads\/([^/]+)(\/finish)?$/.exec(path) ?? [];
    const upload = this.#uploads.get(id ?? '');
    if (!upload) throw new PaasError('not_found', `nothing at ${path}`);
    const offset = () => upload.bytes.reduce((sum, chunk) => sum + chunk.length, 0);
    if (request.method === 'PUT') {
      expect(new URL(request.url!, this.url).searchParams.get('offset')).toBe(String(offset()));
      upload.bytes.push(body);
      return { offset: offset() };
    }
    if (finish !== undefined) {
      expect(offset()).toBe(upload.size);
      const take = ({ kind, digest }: { kind: 'tree' | 'blob'; digest: string }, bytes: Buffer) =>
        void this.trees.objects.set(digest, { kind, bytes: Buffer.from(bytes) });
      const never = () => expect.fail('objects of tests are small');
      await readPack(streamOf(upload.bytes), { object: take, begin: never, data: never, end: never });
      upload.finished = true;
    }
    return { offset: offset(), finished: upload.finished };
  }
}

async function* streamOf(chunks: Buffer[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}
