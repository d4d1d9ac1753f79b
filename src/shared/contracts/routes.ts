/** The route table: all that a router knows. Made by the control plane, kept by the agent beside the router. */
import * as z from 'zod/mini';

export const portNumber = z.int().check(z.minimum(1), z.maximum(65_535));

export const endpoint = z.object({
  instance: z.string(),
  /** `web.3`, for the access log. */
  name: z.string(),
  release: z.int(),
  address: z.string(),
  port: portNumber,
});
export type Endpoint = z.infer<typeof endpoint>;

const positive = z.int().check(z.positive());

const textTest = {
  /** is: the whole text; matches: a regular expression that finds something in it (shared/gray/pattern.ts says which). */
  op: z.enum(['is', 'matches']),
  text: z.string().check(z.minLength(1), z.maxLength(200)),
};

/** One condition of a gray rule. */
export const condition = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('cookie'), name: z.string(), ...textTest }),
  /** `name` in lower case. */
  z.object({ kind: z.literal('header'), name: z.string(), ...textTest }),
  /** The User-Agent. */
  z.object({ kind: z.literal('device'), ...textTest }),
  /** `10.2.0.0/16`, `2001:db8::/32` or one address: the client's. */
  z.object({ kind: z.literal('ip'), cidr: z.string() }),
  /**
   * Where the client is: an ISO 3166 country (`CN`) or subdivision (`CN-31`), by the database of `routeTable.regions`.
   * It holds for no request while the router has none.
   */
  z.object({ kind: z.literal('region'), region: z.string().check(z.regex(/^[A-Z]{2}(-[A-Z0-9]{1,3})?$/)) }),
  /** So many of a hundred clients, always the same ones (shared/gray/sticky.ts); in steps of 0.01. */
  z.object({ kind: z.literal('percent'), percent: z.number().check(z.minimum(0), z.maximum(100)) }),
]);
export type Condition = z.infer<typeof condition>;

/** Requests for which all of the conditions hold go to a release. */
export const grayRule = z.object({ release: z.int(), all: z.array(condition).check(z.minLength(1), z.maxLength(10)) });
export type GrayRule = z.infer<typeof grayRule>;

/**
 * Releases beside the stable one. The first rule that holds for a request decides its release, which may be the stable one;
 * with none, or where that release has no instance, the request goes to an endpoint that is of none of `releases`.
 */
export const gray = z.object({
  releases: z.array(z.int()),
  rules: z.array(grayRule).check(z.maxLength(100)),
});
export type Gray = z.infer<typeof gray>;

/** What requests to an app may take. What is absent has the router's default. */
export const limits = z.object({
  /** Requests and connections under way in one instance at most; what comes then waits in the queue. Absent: no limit. */
  concurrency: z.optional(positive),
  /** Requests that wait per instance at most, where `concurrency` is set; one more gets 503 with Retry-After. Default 0. */
  queue: z.optional(z.int().check(z.nonnegative())),
  /** How long one waits, then 503. Default 10,000. */
  queueMs: z.optional(positive),
  /** Requests per second of one client address (a token bucket of `burst`); above it 429 with Retry-After. */
  rate: z.optional(z.object({ perSecond: z.number().check(z.positive()), burst: positive })),
  /** Of a request's body; above it 413. Absent: no limit; bodies are passed on as they come, never gathered on disk. */
  maxBodyBytes: z.optional(positive),
  /** How long an instance may take to begin its answer. Absent: as the router was configured. */
  responseMs: z.optional(positive),
});
export type Limits = z.infer<typeof limits>;

/**
 * After `failures` answers of 500 and above or failed connections in a row, an instance gets no requests for `ejectMs`;
 * at most half of an app's instances are out at a time. `failures: 0` turns it off.
 */
export const outlier = z.object({ failures: z.int().check(z.nonnegative()), ejectMs: positive });
export type Outlier = z.infer<typeof outlier>;
export const defaultOutlier: Outlier = { failures: 5, ejectMs: 10_000 };

export const backend = z.object({
  /** `project/environment/app`, shown on error pages and in access logs. */
  app: z.string(),
  appId: z.string(),
  /** stopped: scaled to 0 or `paas stop`; starting: never had a healthy instance; unknown app otherwise. */
  state: z.enum(['serving', 'starting', 'stopped']),
  endpoints: z.array(endpoint),
  /** Absent where every endpoint may get every request: then nothing of a request is looked at. */
  gray: z.optional(gray),
  /** What instances speak: HTTP/1.1, or HTTP/2 without TLS (gRPC). Default `http`. */
  protocol: z.optional(z.enum(['http', 'h2c'])),
  limits: z.optional(limits),
  /** Absent: `defaultOutlier`. */
  outlier: z.optional(outlier),
  /** Present: no request reaches an instance, each is answered with 503, Retry-After and this page (HTML) or the router's own. */
  maintenance: z.optional(z.object({ page: z.optional(z.string()) })),
  /** Configuration of its own for the nginx driver, checked before (shared/nginx/snippet.ts); other drivers ignore it. */
  nginx: z.optional(z.string()),
});
export type Backend = z.infer<typeof backend>;

export const httpRoute = z.object({
  /** Lower case, without port; `*.example.com` matches any one or more labels below. */
  host: z.string(),
  /** `/` or `/prefix` without a trailing slash; matches at segment borders; the longest wins. The path is passed on whole. */
  path: z.string(),
  /** Key of `backends`. */
  backend: z.string(),
  /** Requests over plain HTTP are sent to https:// with 308 (while the router has a port for TLS). */
  https: z.optional(z.boolean()),
});
export type HttpRoute = z.infer<typeof httpRoute>;

export const tcpRoute = z.object({ port: portNumber, backend: z.string() });
export type TcpRoute = z.infer<typeof tcpRoute>;

/**
 * A certificate with its private key, for the names that it is to be shown for: exact ones and `*.example.com` (one label,
 * RFC 6125, 6.4.3). The exact name wins. The control plane keeps keys sealed; they are in a table only on its way to a
 * router and in the router's own directory.
 */
export const certificate = z.object({
  hosts: z.array(z.string()).check(z.minLength(1)),
  /** PEM, the leaf first. */
  chain: z.string(),
  /** PEM (PKCS #8 or the traditional forms of RSA and EC), without a passphrase. */
  key: z.string(),
});
export type Certificate = z.infer<typeof certificate>;

export const routeTable = z.object({
  version: z.int(),
  http: z.array(httpRoute),
  tcp: z.array(tcpRoute),
  backends: z.record(z.string(), backend),
  /** Signs the cookies by which clients keep their share (base64url); there where some backend is gray. */
  stickyKey: z.optional(z.string()),
  /** A router that was given a port for TLS listens there while there are any. */
  certificates: z.optional(z.array(certificate)),
  /** Answers of ACME's HTTP-01 (RFC 8555, 8.3) by token, given on every host before routes are looked at. */
  challenges: z.optional(z.record(z.string(), z.string())),
  /** Path of a database in MaxMind's format on the router's host, for conditions of kind `region`. */
  regions: z.optional(z.string()),
});
export type RouteTable = z.infer<typeof routeTable>;

/**
 * Upper bounds, in ms, of the latency histogram's buckets but the last: from the request's head to the last byte of the
 * answer. They grow by a quarter, so that a p95 read off them is off by an eighth at most.
 */
export const latencyBounds: readonly number[] = [
  1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 19, 24, 30, 37, 46, 58, 72, 90, 113, 141, 176, 220, 275, 344, 430, 537, 671, 839, 1049,
  1311, 1639, 2049, 2561, 3201, 4001, 5002, 6252, 7815, 9769, 12_211, 15_264, 19_080, 23_850, 29_813, 37_266, 46_583,
]; // prettier-ignore

/** What a release of an app answered. Counters only grow while the router's process lives. */
export const trafficCount = z.object({
  appId: z.string(),
  release: z.int(),
  /** Ended requests by the class of their status, 1xx to 5xx; what the router answered in an instance's stead (502, 504) counts. */
  classes: z.array(z.int()).check(z.length(5)),
  /** `latencyBounds.length + 1` counts of requests; connections that left HTTP (101) are not among them. */
  latency: z.array(z.int()),
  /** Requests and connections under way now. */
  open: z.int(),
});
export type TrafficCount = z.infer<typeof trafficCount>;

export const routerTraffic = z.object({
  /** Tells one life of the router's counters from the next: they begin at 0 where it changes. */
  epoch: z.string(),
  counts: z.array(trafficCount),
});
export type RouterTraffic = z.infer<typeof routerTraffic>;

export const routerStatus = z.object({
  /** The version in force for every new request. */
  version: z.int(),
  url: z.string(),
  /** Where it listens for TLS, while it does. */
  tlsUrl: z.optional(z.string()),
  driver: z.string(),
  /** Requests and connections still open, by instance id; instances without any are left out. */
  open: z.record(z.string(), z.int()),
  /** Instances that get no requests for a while, since they failed too often (`outlier`). */
  ejected: z.optional(z.array(z.string())),
  /** What the router cannot do as it should, with the reason: ports that are taken, a table that cannot be saved. */
  problems: z.array(z.string()),
});
export type RouterStatus = z.infer<typeof routerStatus>;
