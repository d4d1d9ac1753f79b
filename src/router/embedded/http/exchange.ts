/**
 * One request and its response.
 *
 *   start ─► choose endpoint ─► connect ─► send ─► response ─► end
 *                 ▲                │          └─ fails: 502/504, never sent again
 *                 └────────────────┘ refused, too slow, or retired meanwhile: nothing was sent, so another is tried
 */
import type { Socket } from 'node:net';
import { choose, type LiveBackend, type LiveEndpoint } from '../endpoints.ts';
import { problemResponse, problems, type Problem } from '../pages.ts';
import { tunnel } from '../tunnel.ts';
import { chunked, type Framing } from './body.ts';
import type { ClientConnection } from './client.ts';
import type { HttpContext } from './context.ts';
import { HttpError, type RequestHead, type ResponseHead } from './grammar.ts';
import { clientAddress, requestFacts, requestIdOf, upstreamHead, type RequestFacts } from './request-fields.ts';
import { clientHead, delivery, interimHead, passableTrailers, type ResponseFacts } from './response-fields.ts';
import type { Selection } from './selection.ts';
import { resolveTarget, type Target } from './target.ts';
import { UpstreamConnection, type ConnectFailure, type ResponseSink } from './upstream.ts';

const maxAttempts = 3;
/** How long an endpoint that did not accept a connection is passed over while there are others. */
const avoidMs = 2000;

export class Exchange implements ResponseSink {
  readonly method: string;
  /** The whole request has been handed to the upstream connection. */
  requestSent = false;
  readonly #client: ClientConnection;
  readonly #context: HttpContext;
  readonly #head: RequestHead;
  readonly #facts: RequestFacts;
  readonly #requestId: string;
  readonly #startedAt = Date.now();
  #target: Target = { host: '', path: '', origin: '/' };
  #backend: LiveBackend | null = null;
  #endpoint: LiveEndpoint | null = null;
  #counted = false;
  #setCookie = '';
  /** Those that it may go to. */
  #endpoints: readonly LiveEndpoint[] = [];
  #upstream: UpstreamConnection | null = null;
  readonly #tried: LiveEndpoint[] = [];
  /** How the response's end is told to the client; null before its head is written. */
  #framing: Framing | null = null;
  #keepAlive = false;
  #status = 0;
  #bytes = 0;
  /** From the start to the head of the instance's answer; -1: there was none. */
  #firstMs = -1;

  /** @throws HttpError when the header is ambiguous */
  constructor(client: ClientConnection, context: HttpContext, head: RequestHead) {
    this.#client = client;
    this.#context = context;
    this.#head = head;
    this.method = head.method;
    this.#facts = requestFacts(head);
    this.#requestId = requestIdOf(this.#facts);
  }

  start(): void {
    try {
      this.#target = resolveTarget(this.method, this.#head.target, this.#facts.host);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#answer(problems.badRequest(error.status, error.message));
      return;
    }
    this.#attempt();
  }

  /** Routes by the table in force now: a request that has not been sent yet follows every change. */
  #attempt(): void {
    const { host, path } = this.#target;
    const backend = (this.#backend = this.#context.route(host, path));
    if (!backend) {
      this.#answer(this.#context.version() === 0 ? problems.noTable() : problems.noRoute(host, path));
      return;
    }
    const now = Date.now();
    const { endpoints, setCookie }: Selection =
      backend.gray?.select(this.#head.fields, clientAddress(this.#facts, this.#client.hop)) ?? backend;
    this.#setCookie = setCookie ?? '';
    const endpoint = choose((this.#endpoints = endpoints), this.#tried, now);
    if (!endpoint) {
      this.#answer(problems.withoutEndpoint(backend.state, backend.app));
      return;
    }
    this.#take(endpoint);
    const idle = UpstreamConnection.takeIdle(endpoint, now);
    if (idle) {
      this.#send(idle);
      return;
    }
    const deadline = now + this.#context.limits.connectMs;
    const upstream = new UpstreamConnection(endpoint, this.#context.upstreams, deadline, (failure, detail) => {
      if (failure) this.#onConnectFailed(endpoint, failure, detail);
      else if (endpoint.retired) {
        upstream.destroy();
        this.#release();
        this.#attempt();
      } else {
        endpoint.avoidUntil = 0;
        this.#send(upstream);
      }
    });
    this.#upstream = upstream;
  }

  #onConnectFailed(endpoint: LiveEndpoint, failure: ConnectFailure, detail: string): void {
    this.#release();
    endpoint.avoidUntil = Date.now() + avoidMs;
    this.#tried.push(endpoint);
    const left = this.#endpoints.some((other) => !this.#tried.includes(other));
    if (left && this.#tried.length < maxAttempts) {
      this.#attempt();
      return;
    }
    const app = this.#backend?.app ?? '';
    this.#answer(
      failure === 'timeout' ? problems.unreachable(app, endpoint.name) : problems.refused(app, endpoint.name, detail),
    );
  }

  #send(upstream: UpstreamConnection): void {
    this.#upstream = upstream;
    upstream.begin(this);
    const facts = this.#facts;
    upstream.output.text(upstreamHead(this.method, this.#target.origin, facts, this.#client.hop, this.#requestId));
    if (facts.framing === 0) this.requestSent = true;
    else this.#client.startBody(facts.framing);
    this.flushRequest();
  }

  // From the client

  onRequestContent(content: Buffer): void {
    const upstream = this.#upstream;
    if (!upstream) return;
    if (this.#facts.framing === chunked) upstream.output.chunk(content);
    else upstream.output.bytes(content);
  }

  onRequestEnd(trailers: string): void {
    if (this.#facts.framing === chunked) this.#upstream?.output.lastChunk(passableTrailers(trailers));
    this.requestSent = true;
  }

  /** False: the instance takes no more for now. */
  flushRequest(): boolean {
    const upstream = this.#upstream;
    if (!upstream) return true;
    const flowing = upstream.output.flush();
    // While the client is still sending, its own deadline counts, unless it is the instance that does not take it.
    const waiting = this.#framing === null && (this.requestSent || !flowing);
    upstream.deadline = waiting ? Date.now() + this.#context.limits.responseMs : 0;
    return flowing;
  }

  onRequestInvalid(error: HttpError): void {
    this.#abandon(problems.badRequest(error.status, error.message));
  }

  onRequestTimeout(): void {
    this.#abandon(problems.requestTimeout());
  }

  onClientDrain(): void {
    this.#upstream?.resume();
  }

  onClientGone(): void {
    this.#upstream?.destroy();
    this.#release();
    this.#log(this.#status === 0 ? 499 : this.#status, 'client-gone');
  }

  // From the instance

  onInterim(head: ResponseHead, facts: ResponseFacts): void {
    if (this.#head.minor === 0 || (head.status === 100 && !this.#facts.expectContinue)) return;
    this.#client.output.text(interimHead(head, facts));
    this.#client.output.flush();
  }

  onSwitch(head: ResponseHead, facts: ResponseFacts, socket: Socket, rest: Buffer | null): void {
    if (this.#facts.upgrade === '') {
      socket.destroy();
      this.onBroken('invalid', 'it switched protocols without being asked');
      return;
    }
    const client = this.#client;
    client.output.text(interimHead(head, facts));
    if (rest) client.output.bytes(rest);
    client.output.flush();
    const early = client.detach();
    if (early) socket.write(early);
    this.#context.tunnels.add(client.socket);
    tunnel(client.socket, socket, () => {
      this.#context.tunnels.delete(client.socket);
      this.#bytes = client.socket.bytesWritten;
      this.#release();
      this.#log(101);
    });
  }

  onHead(head: ResponseHead, facts: ResponseFacts): void {
    const minor = this.#head.minor;
    const keepAlive = this.#facts.keepAlive && this.requestSent && !this.#context.stopping;
    const to = delivery(facts, minor, keepAlive);
    this.#framing = to.framing;
    this.#keepAlive = to.keepAlive;
    this.#status = head.status;
    this.#firstMs = Date.now() - this.#startedAt;
    this.#client.output.text(clientHead(head, facts, to, minor, this.#requestId, this.#setCookie));
  }

  onContent(content: Buffer): void {
    this.#bytes += content.length;
    if (this.#framing === chunked) this.#client.output.chunk(content);
    else this.#client.output.bytes(content);
  }

  onFlush(): boolean {
    return this.#client.flushResponse();
  }

  onEnd(trailers: string): void {
    if (this.#framing === chunked) this.#client.output.lastChunk(passableTrailers(trailers));
    this.#release();
    this.#log(this.#status);
    this.#client.finish(this.#keepAlive);
  }

  onDrain(): void {
    if (this.#upstream && !this.requestSent) this.#upstream.deadline = 0;
    this.#client.resumeBody();
  }

  onBroken(why: 'timeout' | 'invalid' | 'closed', detail: string): void {
    const seconds = Math.round(this.#context.limits.responseMs / 1000);
    this.#abandon(problems.broken(why, this.#backend?.app ?? '', this.#endpoint?.name ?? '', detail, seconds));
  }

  // Ends

  /** Gives the upstream up: a page where nothing of the response was written yet, a reset where its middle was. */
  #abandon(problem: Problem): void {
    this.#upstream?.destroy();
    this.#release();
    if (this.#framing === null) {
      this.#answer(problem);
      return;
    }
    this.#client.output.flush();
    this.#log(this.#status, problem.reason);
    this.#client.reset();
  }

  #answer(problem: Problem): void {
    const bodyRead = this.#facts.framing === 0 || this.requestSent;
    const keepAlive = this.#facts.keepAlive && bodyRead && problem.code !== 'bad_request';
    const close = !keepAlive || this.#head.minor === 0 || this.#context.stopping;
    const to = { accept: this.#facts.accept, body: this.method !== 'HEAD', close, requestId: this.#requestId };
    this.#client.output.text(problemResponse(problem, to));
    this.#log(problem.status, problem.reason);
    this.#client.finish(!close);
  }

  #take(endpoint: LiveEndpoint): void {
    this.#endpoint = endpoint;
    this.#counted = true;
    endpoint.open++;
  }

  /** The upstream has nothing more to do with this exchange. The endpoint stays known for the log. */
  #release(): void {
    this.#upstream = null;
    if (this.#counted && this.#endpoint) this.#endpoint.open--;
    this.#counted = false;
  }

  #log(status: number, error?: string): void {
    const ms = Date.now() - this.#startedAt;
    this.#endpoint?.traffic.ended(status, ms);
    this.#context.log(this.#backend?.appId ?? '', {
      method: this.method,
      host: this.#target.host,
      path: this.#target.path,
      status,
      bytes: this.#bytes,
      ms,
      firstMs: this.#firstMs,
      instance: this.#endpoint?.name ?? '',
      release: this.#endpoint?.release ?? 0,
      client: clientAddress(this.#facts, this.#client.hop),
      requestId: this.#requestId,
      traceId: '',
      ...(error === undefined ? {} : { error }),
    });
  }
}
