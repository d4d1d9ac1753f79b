/** The client's side of an exchange: the response as the client gets it, and what counters and the access log get of it. */
import type { LiveBackend, LiveEndpoint } from '../endpoints.ts';
import { problemResponse, type Delivery, type Problem } from '../../pages.ts';
import { chunked, type Framing } from './body.ts';
import type { HttpContext } from './context.ts';
import type { Client } from './ends.ts';
import type { RequestHead, ResponseHead } from './grammar.ts';
import { clientAddress, requestIdOf, type RequestFacts } from './request-fields.ts';
import { clientHead, delivery, interimHead, passableTrailers, type ResponseFacts } from './response-fields.ts';
import type { Target } from './target.ts';

/** A response of the router's own. */
export interface Reply {
  status: number;
  /** For the access log, where something is wrong. */
  error?: string;
  /** What comes next on the connection cannot be trusted. */
  close?: boolean;
  text(to: Delivery): string;
}

export function problemReply(problem: Problem): Reply {
  return {
    status: problem.status,
    error: problem.reason,
    close: problem.code === 'bad_request',
    text: (to) => problemResponse(problem, to),
  };
}

export class Answer {
  readonly requestId: string;
  /** How the response's end is told to the client; null before its head is written. */
  framing: Framing | null = null;
  /** 0 before there is one. */
  status = 0;
  bytes = 0;
  readonly #client: Client;
  readonly #context: HttpContext;
  readonly #head: RequestHead;
  readonly #facts: RequestFacts;
  readonly #startedAt = Date.now();
  /** From the start to the head of the instance's answer; -1: there was none. */
  #firstMs = -1;
  #keepAlive = false;

  constructor(client: Client, context: HttpContext, head: RequestHead, facts: RequestFacts) {
    this.#client = client;
    this.#context = context;
    this.#head = head;
    this.#facts = facts;
    this.requestId = requestIdOf(facts);
  }

  interim(head: ResponseHead, facts: ResponseFacts): void {
    if (this.#head.minor === 0 || (head.status === 100 && !this.#facts.expectContinue)) return;
    this.#client.output.text(interimHead(head, facts));
    this.#client.output.flush();
  }

  /**
   * @param requestSent the client has nothing more to send of its request
   * @param added further field lines
   */
  begin(head: ResponseHead, facts: ResponseFacts, requestSent: boolean, added: string): void {
    const { minor } = this.#head;
    const to = delivery(facts, minor, this.#facts.keepAlive && requestSent && !this.#context.stopping);
    this.framing = to.framing;
    this.#keepAlive = to.keepAlive;
    this.status = head.status;
    this.#firstMs = Date.now() - this.#startedAt;
    this.#client.output.text(clientHead(head, facts, to, minor, this.requestId, added));
  }

  content(content: Buffer): void {
    this.bytes += content.length;
    if (this.framing === chunked) this.#client.output.chunk(content);
    else this.#client.output.bytes(content);
  }

  /** Nothing comes behind it; `finish` ends the exchange. */
  end(trailers: string): void {
    if (this.framing === chunked) this.#client.output.lastChunk(passableTrailers(trailers));
  }

  finish(): void {
    this.#client.finish(this.#keepAlive);
  }

  /** Writes a whole response; `finish` ends the exchange. @param requestRead nothing of the request is still to come */
  give(reply: Reply, requestRead: boolean): void {
    this.#keepAlive =
      this.#facts.keepAlive && requestRead && reply.close !== true && this.#head.minor === 1 && !this.#context.stopping;
    const { accept } = this.#facts;
    const to = { accept, body: this.#head.method !== 'HEAD', close: !this.#keepAlive, requestId: this.requestId };
    this.status = reply.status;
    this.#client.output.text(reply.text(to));
  }

  /** Counts it, and writes its line: it is over. */
  log(
    target: Target,
    backend: LiveBackend | null,
    endpoint: LiveEndpoint | null,
    status: number,
    error?: string,
  ): void {
    const ms = Date.now() - this.#startedAt;
    endpoint?.traffic.ended(status, ms);
    this.#context.log(backend?.appId ?? '', {
      method: this.#head.method,
      host: target.host,
      path: target.path,
      status,
      bytes: this.bytes,
      ms,
      firstMs: this.#firstMs,
      instance: endpoint?.name ?? '',
      release: endpoint?.release ?? 0,
      client: clientAddress(this.#facts, this.#client.hop),
      requestId: this.requestId,
      traceId: this.#facts.trace.id,
      error,
    });
  }
}
