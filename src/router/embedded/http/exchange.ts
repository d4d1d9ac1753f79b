/**
 * One request and its response.
 *
 *   start ─► choose endpoint ─► connect ─► send ─► response ─► end
 *              │  ▲  ▲             │          └─ fails: 502/504, never sent again
 *              │  │  └─────────────┘ refused, too slow, or retired meanwhile: nothing was sent, so another is tried
 *              ▼  │ an instance has room, or the table changed
 *           waiting in line ─► 503
 */
import type { Socket } from 'node:net';
import { choose, type LiveBackend, type LiveEndpoint } from '../endpoints.ts';
import type { AppLimits } from '../limits/app-limits.ts';
import type { Waiter, WaitingLine } from '../limits/waiting-line.ts';
import { noteFailure } from '../limits/outlier.ts';
import { problems } from '../../pages.ts';
import { StreamUpstream } from '../http2/upstream.ts';
import type { RouteTarget } from '../../table.ts';
import { tunnel } from '../tunnel.ts';
import { challengeReply, httpsReply, refusal } from './admission.ts';
import { Answer, problemReply, type Reply } from './answer.ts';
import { chunked } from './body.ts';
import type { HttpContext } from './context.ts';
import type { Client, Upstream } from './ends.ts';
import { HttpError, type RequestHead, type ResponseHead } from './grammar.ts';
import { clientAddress, requestFacts, upstreamHead, type RequestFacts } from './request-fields.ts';
import { interimHead, passableTrailers, type ResponseFacts } from './response-fields.ts';
import type { Selection } from './selection.ts';
import { resolveTarget, type Target } from './target.ts';
import { UpstreamConnection, type ConnectFailure, type ResponseSink } from './upstream.ts';

const maxAttempts = 3;
/** How long an endpoint that did not accept a connection is passed over while there are others. */
const avoidMs = 2000;

export class Exchange implements ResponseSink, Waiter {
  readonly method: string;
  /** The whole request has been handed to the upstream connection. */
  requestSent = false;
  readonly #client: Client;
  readonly #context: HttpContext;
  readonly #head: RequestHead;
  readonly #facts: RequestFacts;
  readonly #answer: Answer;
  #target: Target = { host: '', path: '', origin: '/' };
  #backend: LiveBackend | null = null;
  #endpoint: LiveEndpoint | null = null;
  #counted = false;
  /** Where it waits for room. */
  #line: WaitingLine | null = null;
  /** Its app's limits have been asked: once, whatever is tried afterwards. */
  #admitted = false;
  /** Content of its body so far. */
  #received = 0;
  #setCookie = '';
  /** Those that it may go to. */
  choices: readonly LiveEndpoint[] = [];
  #upstream: Upstream | null = null;
  readonly #tried: LiveEndpoint[] = [];
  /** How often an instance gave it back unprocessed. */
  #refused = 0;

  /** @throws HttpError when the header is ambiguous */
  constructor(client: Client, context: HttpContext, head: RequestHead) {
    this.#client = client;
    this.#context = context;
    this.#head = head;
    this.method = head.method;
    this.#facts = requestFacts(head);
    this.#answer = new Answer(client, context, head, this.#facts);
  }

  start(): void {
    try {
      this.#target = resolveTarget(this.method, this.#head.target, this.#facts.host);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#give(problemReply(problems.badRequest(error.status, error.message)));
      return;
    }
    const challenge = challengeReply(this.#context, this.method, this.#target);
    if (challenge) this.#give(challenge);
    else this.attempt();
  }

  /** Routes by the table in force now: a request that has not been sent yet follows every change. */
  attempt(): void {
    const { host, path } = this.#target;
    this.#endpoint = null;
    const route = this.#context.route(host, path);
    const backend = (this.#backend = route && this.#context.backend(route.backend));
    if (!route || !backend) {
      const problem = this.#context.version() === 0 ? problems.noTable() : problems.noRoute(host, path);
      this.#give(problemReply(problem));
      return;
    }
    const early = this.#early(route, backend);
    if (early) this.#give(early);
    else this.#choose(backend);
  }

  /** What it is answered without an instance. */
  #early(route: RouteTarget, backend: LiveBackend): Reply | null {
    const { hop } = this.#client;
    if (route.https) {
      const reply = httpsReply(this.#context, route, this.#target, this.#facts, hop);
      if (reply) return reply;
    }
    const { limits } = backend;
    if (!limits) return null;
    if (limits.maintenance) return problemReply(problems.maintenance(backend.app, limits.maintenance.page));
    if (this.#admitted) return null;
    this.#admitted = true;
    return refusal(backend, this.#facts, hop);
  }

  #choose(backend: LiveBackend): void {
    const now = Date.now();
    const { endpoints, setCookie }: Selection =
      backend.gray?.select(this.#head.fields, clientAddress(this.#facts, this.#client.hop)) ?? backend;
    this.#setCookie = setCookie ?? '';
    const { limits } = backend;
    const endpoint = choose((this.choices = endpoints), this.#tried, now, limits?.concurrency);
    if (endpoint) this.#connect(backend, endpoint, now);
    else if (limits?.line && endpoints.some((other) => !this.#tried.includes(other))) this.#wait(limits, limits.line);
    else this.#give(problemReply(problems.withoutEndpoint(backend.state, backend.app)));
  }

  #wait(limits: AppLimits, line: WaitingLine): void {
    if (this.#line !== line) this.#leaveLine();
    if (line.enter(this, limits.capacity, limits.queueMs)) this.#line = line;
    else this.#give(problemReply(problems.busy(this.#backend?.app ?? '', 'full')));
  }

  /** It has waited for too long. */
  expire(): void {
    this.#line = null;
    this.#give(problemReply(problems.busy(this.#backend?.app ?? '', 'waited')));
  }

  #leaveLine(): void {
    this.#line?.leave(this);
    this.#line = null;
  }

  #connect(backend: LiveBackend, endpoint: LiveEndpoint, now: number): void {
    this.#leaveLine();
    this.#take(endpoint);
    const Connection = backend.protocol === 'h2c' ? StreamUpstream : UpstreamConnection;
    const idle = Connection.takeIdle(endpoint, now);
    if (idle) {
      this.#send(idle);
      return;
    }
    const deadline = now + this.#context.limits.connectMs;
    const upstream: Upstream = new Connection(endpoint, this.#context.upstreams, deadline, (failure, detail) => {
      if (failure) this.#onConnectFailed(endpoint, failure, detail);
      else if (endpoint.retired) {
        upstream.destroy();
        this.#release();
        this.attempt();
      } else {
        endpoint.avoidUntil = endpoint.ejectedUntil;
        this.#send(upstream);
      }
    });
    this.#upstream = upstream;
  }

  #onConnectFailed(endpoint: LiveEndpoint, failure: ConnectFailure, detail: string): void {
    const now = Date.now();
    endpoint.avoidUntil = Math.max(endpoint.ejectedUntil, now + avoidMs);
    this.#failed(endpoint, now);
    this.#release();
    this.#tried.push(endpoint);
    const left = this.choices.some((other) => !this.#tried.includes(other));
    if (left && this.#tried.length < maxAttempts) {
      this.attempt();
      return;
    }
    const app = this.#backend?.app ?? '';
    this.#give(
      problemReply(
        failure === 'timeout' ? problems.unreachable(app, endpoint.name) : problems.refused(app, endpoint.name, detail),
      ),
    );
  }

  #send(upstream: Upstream): void {
    this.#upstream = upstream;
    upstream.begin(this);
    const facts = this.#facts;
    upstream.output.text(
      upstreamHead(this.method, this.#target.origin, facts, this.#client.hop, this.#answer.requestId),
    );
    if (facts.framing === 0) this.requestSent = true;
    else this.#client.startBody(facts.framing);
    this.flushRequest();
  }

  // From the client

  onRequestContent(content: Buffer): void {
    const upstream = this.#upstream;
    if (!upstream) return;
    const { app = '', limits = null } = this.#backend ?? {};
    if (limits && (this.#received += content.length) > limits.maxBodyBytes) {
      this.#abandon(problemReply(problems.bodyTooLarge(app, limits.maxBodyBytes)));
      return;
    }
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
    const waiting = this.#answer.framing === null && (this.requestSent || !flowing);
    upstream.deadline = waiting ? Date.now() + this.#responseMs() : 0;
    return flowing;
  }

  onRequestInvalid(error: HttpError): void {
    this.#abandon(problemReply(problems.badRequest(error.status, error.message)));
  }

  onRequestTimeout(): void {
    this.#abandon(problemReply(problems.requestTimeout()));
  }

  onClientDrain(): void {
    this.#upstream?.resume();
  }

  onClientGone(): void {
    this.#leaveLine();
    this.#upstream?.destroy();
    this.#release();
    this.#log(this.#answer.status === 0 ? 499 : this.#answer.status, 'client-gone');
  }

  // From the instance

  onInterim(head: ResponseHead, facts: ResponseFacts): void {
    this.#answer.interim(head, facts);
  }

  onSwitch(head: ResponseHead, facts: ResponseFacts, socket: Socket, rest: Buffer | null): void {
    if (this.#facts.upgrade === '') {
      socket.destroy();
      this.onBroken('invalid', 'it switched protocols without being asked');
      return;
    }
    if (this.#endpoint) this.#endpoint.failures = 0;
    const client = this.#client;
    client.output.text(interimHead(head, facts));
    if (rest) client.output.bytes(rest);
    client.output.flush();
    const { socket: own, early } = client.detach();
    if (early) socket.write(early);
    this.#context.tunnels.add(own);
    tunnel(own, socket, () => {
      this.#context.tunnels.delete(own);
      this.#answer.bytes = own.bytesWritten;
      this.#release();
      this.#log(101);
    });
  }

  onHead(head: ResponseHead, facts: ResponseFacts): void {
    const endpoint = this.#endpoint;
    if (head.status >= 500) this.#failed(endpoint, Date.now());
    else if (endpoint) endpoint.failures = 0;
    this.#answer.begin(head, facts, this.requestSent, this.#setCookie);
  }

  onContent(content: Buffer): void {
    this.#answer.content(content);
  }

  onFlush(): boolean {
    return this.#client.flushResponse();
  }

  onEnd(trailers: string): void {
    this.#answer.end(trailers);
    this.#release();
    this.#log(this.#answer.status);
    this.#answer.finish();
  }

  onDrain(): void {
    if (this.#upstream && !this.requestSent) this.#upstream.deadline = 0;
    this.#client.resumeBody();
  }

  /** Sent again where nothing of a body is gone, also to the same instance: it may have closed just this connection. */
  onUnprocessed(detail: string): void {
    this.#release();
    if (this.#facts.framing === 0 && ++this.#refused < maxAttempts) this.attempt();
    else this.onBroken('closed', detail);
  }

  onBroken(why: 'timeout' | 'invalid' | 'closed', detail: string): void {
    this.#failed(this.#endpoint, Date.now());
    const seconds = Math.round(this.#responseMs() / 1000);
    const { app = '' } = this.#backend ?? {};
    this.#abandon(problemReply(problems.broken(why, app, this.#endpoint?.name ?? '', detail, seconds)));
  }

  // Ends

  /** Gives the upstream up: a page where nothing of the response was written yet, a reset where its middle was. */
  #abandon(reply: Reply): void {
    this.#upstream?.destroy();
    this.#release();
    if (this.#answer.framing === null) {
      this.#give(reply);
      return;
    }
    this.#client.output.flush();
    this.#log(this.#answer.status, reply.error);
    this.#client.reset();
  }

  /** Answers in the place of an instance. */
  #give(reply: Reply): void {
    this.#leaveLine();
    this.#answer.give(reply, this.#facts.framing === 0 || this.requestSent);
    this.#log(reply.status, reply.error);
    this.#answer.finish();
  }

  #log(status: number, error?: string): void {
    this.#answer.log(this.#target, this.#backend, this.#endpoint, status, error);
  }

  #responseMs(): number {
    return this.#backend?.limits?.responseMs || this.#context.limits.responseMs;
  }

  #failed(endpoint: LiveEndpoint | null, now: number): void {
    if (!endpoint || !this.#backend || !noteFailure(endpoint, this.choices, this.#backend.outlier, now)) return;
    // Who waits may go there again as soon as it is back.
    const { line } = endpoint;
    if (line) setTimeout(() => line.serve(), this.#backend.outlier.ejectMs).unref();
  }

  #take(endpoint: LiveEndpoint): void {
    this.#endpoint = endpoint;
    this.#counted = true;
    endpoint.open++;
  }

  /** The upstream has nothing more to do with this exchange. The endpoint stays known for the log. */
  #release(): void {
    this.#upstream = null;
    if (this.#counted) this.#endpoint?.release();
    this.#counted = false;
  }
}
