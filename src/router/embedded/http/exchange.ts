/**
 * One request and its response.
 *
 *   start ─► seat ─► send ─► response ─► end
 *              │          └─ fails: 502/504, never sent again
 *              └─ none: answered by the router itself
 */
import type { Socket } from 'node:net';
import { problems } from '../../pages.ts';
import { tunnel } from '../tunnel.ts';
import { Answer, problemReply, type Reply } from './answer.ts';
import { chunked } from './body.ts';
import type { HttpContext } from './context.ts';
import type { Client, Upstream } from './ends.ts';
import { HttpError, type RequestHead, type ResponseHead } from './grammar.ts';
import { requestFacts, upstreamHead, type RequestFacts } from './request-fields.ts';
import { interimHead, passableTrailers, type ResponseFacts } from './response-fields.ts';
import { Seat, type Seeker } from './seat.ts';
import { resolveTarget, type Target } from './target.ts';
import type { ResponseSink } from './upstream.ts';

export class Exchange implements ResponseSink, Seeker {
  readonly method: string;
  /** The whole request has been handed to the upstream connection. */
  requestSent = false;
  readonly #client: Client;
  readonly #context: HttpContext;
  readonly #head: RequestHead;
  readonly #facts: RequestFacts;
  readonly #answer: Answer;
  #target: Target = { host: '', path: '', origin: '/' };
  #seat: Seat | null = null;
  /** Content of its body so far. */
  #received = 0;

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
      this.onNoSeat(problemReply(problems.badRequest(error.status, error.message)));
      return;
    }
    const { fields } = this.#head;
    const asked = { method: this.method, target: this.#target, fields, facts: this.#facts, hop: this.#client.hop };
    this.#seat = new Seat(this.#context, asked, this);
    this.#seat.start();
  }

  onSeat(upstream: Upstream): void {
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
    const upstream = this.#seat?.upstream;
    if (!upstream) return;
    const { app = '', limits = null } = this.#seat?.backend ?? {};
    if (limits && (this.#received += content.length) > limits.maxBodyBytes) {
      this.#abandon(problemReply(problems.bodyTooLarge(app, limits.maxBodyBytes)));
      return;
    }
    if (this.#facts.framing === chunked) upstream.output.chunk(content);
    else upstream.output.bytes(content);
  }

  onRequestEnd(trailers: string): void {
    if (this.#facts.framing === chunked) this.#seat?.upstream?.output.lastChunk(passableTrailers(trailers));
    this.requestSent = true;
  }

  /** False: the instance takes no more for now. */
  flushRequest(): boolean {
    const upstream = this.#seat?.upstream;
    if (!upstream) return true;
    const flowing = upstream.output.flush();
    // While the client is still sending, its own deadline counts, unless it is the instance that does not take it.
    const waiting = this.#answer.framing === null && (this.requestSent || !flowing);
    upstream.deadline = waiting ? Date.now() + this.#seat!.responseMs : 0;
    return flowing;
  }

  onRequestInvalid(error: HttpError): void {
    this.#abandon(problemReply(problems.badRequest(error.status, error.message)));
  }

  /** The client has been silent for long in the middle of its body. Once the answer has begun it may be: calls of gRPC are. */
  onRequestTimeout(): void {
    if (this.#answer.framing === null) this.#abandon(problemReply(problems.requestTimeout()));
  }

  onClientDrain(): void {
    this.#seat?.upstream?.resume();
  }

  onClientGone(): void {
    this.#seat?.upstream?.destroy();
    this.#seat?.release();
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
    this.#seat?.noteSuccess();
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
      this.#seat?.release();
      this.#log(101);
    });
  }

  onHead(head: ResponseHead, facts: ResponseFacts): void {
    const seat = this.#seat!;
    if (head.status >= 500) seat.noteFailure(Date.now());
    else seat.noteSuccess();
    this.#answer.begin(head, facts, this.requestSent, seat.setCookie);
  }

  onContent(content: Buffer): void {
    this.#answer.content(content);
  }

  onFlush(): boolean {
    return this.#client.flushResponse();
  }

  onEnd(trailers: string): void {
    this.#answer.end(trailers);
    this.#seat?.release();
    this.#log(this.#answer.status);
    this.#answer.finish();
  }

  onDrain(): void {
    const upstream = this.#seat?.upstream;
    if (upstream && !this.requestSent) upstream.deadline = 0;
    this.#client.resumeBody();
  }

  /** Sent again where nothing of a body is gone, also to the same instance: it may have closed just this connection. */
  onUnprocessed(detail: string): void {
    if (this.#facts.framing !== 0 || !this.#seat?.again()) this.onBroken('closed', detail);
  }

  onBroken(why: 'timeout' | 'invalid' | 'closed', detail: string): void {
    const seat = this.#seat!;
    seat.noteFailure(Date.now());
    const seconds = Math.round(seat.responseMs / 1000);
    const { app = '' } = seat.backend ?? {};
    this.#abandon(problemReply(problems.broken(why, app, seat.endpoint?.name ?? '', detail, seconds)));
  }

  // Ends

  /** Gives the upstream up: a page where nothing of the response was written yet, a reset where its middle was. */
  #abandon(reply: Reply): void {
    this.#seat?.upstream?.destroy();
    this.#seat?.release();
    if (this.#answer.framing === null) {
      this.onNoSeat(reply);
      return;
    }
    this.#client.output.flush();
    this.#log(this.#answer.status, reply.error);
    this.#client.reset();
  }

  /** Answers in the place of an instance. */
  onNoSeat(reply: Reply): void {
    this.#seat?.release();
    this.#answer.give(reply, this.#facts.framing === 0 || this.requestSent);
    this.#log(reply.status, reply.error);
    this.#answer.finish();
  }

  #log(status: number, error?: string): void {
    this.#answer.log(this.#target, this.#seat?.backend ?? null, this.#seat?.endpoint ?? null, status, error);
  }
}
