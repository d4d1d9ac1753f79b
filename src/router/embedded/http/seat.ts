/**
 * A request's place at an instance: from the route to a connection that will carry it.
 *
 *   attempt ─► choose endpoint ─► connect ─► taken ─► released
 *     │  ▲  ▲                        │
 *     │  │  └────────────────────────┘ refused, too slow, or retired meanwhile: nothing was sent, so another is tried
 *     ▼  │ an instance has room, or the table changed
 *   waiting in line ─► 503
 */
import { choose, type LiveBackend, type LiveEndpoint } from '../endpoints.ts';
import { StreamUpstream } from '../http2/upstream.ts';
import type { AppLimits } from '../limits/app-limits.ts';
import type { Waiter, WaitingLine } from '../limits/waiting-line.ts';
import { problems } from '../../pages.ts';
import type { RouteTarget } from '../../table.ts';
import { challengeReply, httpsReply, refusal } from './admission.ts';
import { problemReply, type Reply } from './answer.ts';
import type { HttpContext } from './context.ts';
import type { Upstream } from './ends.ts';
import { clientAddress, type Hop, type RequestFacts } from './request-fields.ts';
import type { Selection } from './selection.ts';
import type { Target } from './target.ts';
import { UpstreamConnection, type ConnectFailure } from './upstream.ts';

const maxAttempts = 3;

/** What decides where a request goes. */
export interface Asked {
  method: string;
  target: Target;
  /** Its field lines. */
  fields: string;
  facts: RequestFacts;
  hop: Hop;
}

/** Who is told, once an attempt. */
export interface Seeker {
  onSeat(upstream: Upstream): void;
  /** There is none. */
  onNoSeat(reply: Reply): void;
}

export class Seat implements Waiter {
  backend: LiveBackend | null = null;
  /** Where it is or was last; null where the router answers by itself. */
  endpoint: LiveEndpoint | null = null;
  upstream: Upstream | null = null;
  /** Field line to be added to the response, or ''. */
  setCookie = '';
  /** Those that it may go to. */
  choices: readonly LiveEndpoint[] = [];
  readonly #context: HttpContext;
  readonly #asked: Asked;
  readonly #seeker: Seeker;
  #counted = false;
  /** Where it waits for room. */
  #line: WaitingLine | null = null;
  /** Its app's limits have been asked: once, whatever is tried afterwards. */
  #admitted = false;
  readonly #tried: LiveEndpoint[] = [];
  /** How often an instance gave it back unprocessed. */
  #refused = 0;

  constructor(context: HttpContext, asked: Asked, seeker: Seeker) {
    this.#context = context;
    this.#asked = asked;
    this.#seeker = seeker;
  }

  start(): void {
    const challenge = challengeReply(this.#context, this.#asked.method, this.#asked.target);
    if (challenge) this.#seeker.onNoSeat(challenge);
    else this.attempt();
  }

  /** Routes by the table in force now: a request that has not been sent yet follows every change. */
  attempt(): void {
    const { host, path } = this.#asked.target;
    this.endpoint = null;
    const route = this.#context.route(host, path);
    const backend = (this.backend = route && this.#context.backend(route.backend));
    if (!route || !backend) {
      const problem = this.#context.version() === 0 ? problems.noTable() : problems.noRoute(host, path);
      this.#seeker.onNoSeat(problemReply(problem));
      return;
    }
    const early = this.#early(route, backend);
    if (early) this.#seeker.onNoSeat(early);
    else this.#choose(backend);
  }

  /** What it is answered without an instance. */
  #early(route: RouteTarget, backend: LiveBackend): Reply | null {
    const { target, facts, hop } = this.#asked;
    if (route.https) {
      const reply = httpsReply(this.#context, route, target, facts, hop);
      if (reply) return reply;
    }
    const { limits } = backend;
    if (!limits) return null;
    if (limits.maintenance) return problemReply(problems.maintenance(backend.app, limits.maintenance.page));
    if (this.#admitted) return null;
    this.#admitted = true;
    return refusal(backend, facts, hop);
  }

  #choose(backend: LiveBackend): void {
    const now = Date.now();
    const { fields, facts, hop } = this.#asked;
    const { endpoints, setCookie }: Selection = backend.gray?.select(fields, clientAddress(facts, hop)) ?? backend;
    this.setCookie = setCookie ?? '';
    const { limits } = backend;
    const endpoint = choose((this.choices = endpoints), this.#tried, now, limits?.concurrency);
    if (endpoint) this.#connect(backend, endpoint, now);
    else if (limits?.line && endpoints.some((other) => !this.#tried.includes(other))) this.#wait(limits, limits.line);
    else this.#seeker.onNoSeat(problemReply(problems.withoutEndpoint(backend.state, backend.app)));
  }

  #wait(limits: AppLimits, line: WaitingLine): void {
    if (this.#line !== line) this.#leaveLine();
    if (line.enter(this, limits.capacity, limits.queueMs)) this.#line = line;
    else this.#seeker.onNoSeat(problemReply(problems.busy(this.backend?.app ?? '', 'full')));
  }

  expire(): void {
    this.#line = null;
    this.#seeker.onNoSeat(problemReply(problems.busy(this.backend?.app ?? '', 'waited')));
  }

  #leaveLine(): void {
    this.#line?.leave(this);
    this.#line = null;
  }

  #connect(backend: LiveBackend, endpoint: LiveEndpoint, now: number): void {
    this.#leaveLine();
    this.endpoint = endpoint;
    this.#counted = true;
    endpoint.open++;
    const Connection = backend.protocol === 'h2c' ? StreamUpstream : UpstreamConnection;
    const idle = Connection.takeIdle(endpoint, now);
    if (idle) {
      this.#seeker.onSeat((this.upstream = idle));
      return;
    }
    const deadline = now + this.#context.limits.connectMs;
    const upstream: Upstream = new Connection(endpoint, this.#context.upstreams, deadline, (failure, detail) => {
      if (failure) this.#onConnectFailed(endpoint, failure, detail);
      else if (endpoint.retired) {
        upstream.destroy();
        this.release();
        this.attempt();
      } else {
        endpoint.avoidUntil = endpoint.ejectedUntil;
        this.#seeker.onSeat(upstream);
      }
    });
    this.upstream = upstream;
  }

  #onConnectFailed(endpoint: LiveEndpoint, failure: ConnectFailure, detail: string): void {
    if (this.backend) endpoint.refused(this.choices, this.backend.outlier, Date.now());
    this.release();
    this.#tried.push(endpoint);
    const left = this.choices.some((other) => !this.#tried.includes(other));
    if (left && this.#tried.length < maxAttempts) {
      this.attempt();
      return;
    }
    const app = this.backend?.app ?? '';
    this.#seeker.onNoSeat(
      problemReply(
        failure === 'timeout' ? problems.unreachable(app, endpoint.name) : problems.refused(app, endpoint.name, detail),
      ),
    );
  }

  /** The instance has not looked at it: tries again, also there. False: it was tried often enough. */
  again(): boolean {
    this.release();
    if (++this.#refused >= maxAttempts) return false;
    this.attempt();
    return true;
  }

  /** The connection carries it no more: nobody hears of it, and its place is free. The endpoint stays known. */
  release(): void {
    this.#leaveLine();
    this.upstream = null;
    if (!this.#counted) return;
    this.#counted = false;
    this.endpoint?.left();
  }

  /** The instance answered below 500. */
  noteSuccess(): void {
    if (this.endpoint) this.endpoint.failures = 0;
  }

  /** It answered 500 or above, or nothing. */
  noteFailure(now: number): void {
    if (this.backend) this.endpoint?.failed(this.choices, this.backend.outlier, now);
  }

  /** How long the instance may take to begin its answer. */
  get responseMs(): number {
    return this.backend?.limits?.responseMs ?? this.#context.limits.responseMs;
  }
}
