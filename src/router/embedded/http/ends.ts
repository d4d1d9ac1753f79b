/**
 * The two ends of an exchange, whatever version of HTTP they speak. Messages pass between them in the form of HTTP/1.1
 * (field lines as text, content in pieces, trailers); an end that speaks HTTP/2 translates.
 */
import type { Socket } from 'node:net';
import type { Framing } from './body.ts';
import type { Hop } from './request-fields.ts';
import type { ResponseSink } from './upstream.ts';

/** Where a message is written. Nothing needs to leave before `flush`. */
export interface MessageOutput {
  /** A head, perhaps with the whole body behind it; latin1. */
  text(text: string): void;
  /** Content whose length the head told. @param bytes valid until it returns */
  bytes(bytes: Buffer): void;
  /** Content of a message whose head said `chunked`. @param content valid until it returns */
  chunk(content: Buffer): void;
  /** The end of such a message. @param trailers field lines */
  lastChunk(trailers: string): void;
  /** False: wait for it to drain before producing more. */
  flush(): boolean;
}

/** Who sent the request. */
export interface Client {
  readonly hop: Hop;
  readonly output: MessageOutput;
  /** Give the body of the request out now, to `onRequestContent` and `onRequestEnd`. */
  startBody(framing: Framing): void;
  /** The instance takes more of the body. */
  resumeBody(): void;
  /** A piece of the response is written. False: the client takes no more for now. */
  flushResponse(): boolean;
  /** The response is written. */
  finish(keepAlive: boolean): void;
  /** The response broke off in the middle: the client is told that it is not whole. */
  reset(): void;
  /** The connection leaves HTTP; only called for a request with Upgrade. Gives the bytes that came behind it, too. */
  detach(): { socket: Socket; early: Buffer | null };
}

/** What carries the request to an instance. */
export interface Upstream {
  /** When it is too late for what it waits for (ms since the epoch); 0: it waits for nothing. Held by a sweep. */
  deadline: number;
  readonly output: MessageOutput;
  /** From now on responses go to `sink`. The caller writes the request to `output` next. */
  begin(sink: ResponseSink): void;
  /** Reads on after `onFlush` said false. */
  resume(): void;
  /** Ends it at once and tells nobody. */
  destroy(): void;
}

/** What the sweep and the end of the router do with connections and streams to instances. */
export interface HeldUpstream {
  readonly deadline: number;
  /** `deadline` has passed. */
  expire(): void;
  destroy(): void;
}

/** The same of clients. */
export interface HeldClient extends HeldUpstream {
  /** Since when it takes nothing of its response; 0: it does. */
  readonly stalledSince: number;
  /** The router stops: ends it now, or with the response under way. */
  stop(): void;
}
