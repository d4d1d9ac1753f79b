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
  /** So many of a hundred clients, always the same ones (shared/gray/sticky.ts); in steps of 0.01. */
  z.object({ kind: z.literal('percent'), percent: z.number().check(z.minimum(0), z.maximum(100)) }),
]);
export type Condition = z.infer<typeof condition>;

/** Requests for which all of the conditions hold go to a release. */
export const grayRule = z.object({ release: z.int(), all: z.array(condition).check(z.minLength(1), z.maxLength(10)) });
export type GrayRule = z.infer<typeof grayRule>;

/**
 * Releases beside the stable one. The first rule that holds for a request decides its release; with none, or where that
 * release has no instance, the request goes to an endpoint that is of none of `releases`.
 */
export const gray = z.object({
  releases: z.array(z.int()).check(z.minLength(1)),
  rules: z.array(grayRule).check(z.maxLength(100)),
});
export type Gray = z.infer<typeof gray>;

export const backend = z.object({
  /** `project/environment/app`, shown on error pages and in access logs. */
  app: z.string(),
  appId: z.string(),
  /** stopped: scaled to 0 or `paas stop`; starting: never had a healthy instance; unknown app otherwise. */
  state: z.enum(['serving', 'starting', 'stopped']),
  endpoints: z.array(endpoint),
  /** Absent where every endpoint may get every request: then nothing of a request is looked at. */
  gray: z.optional(gray),
});
export type Backend = z.infer<typeof backend>;

export const httpRoute = z.object({
  /** Lower case, without port; `*.example.com` matches any one or more labels below. */
  host: z.string(),
  /** `/` or `/prefix` without a trailing slash; matches at segment borders; the longest wins. The path is passed on whole. */
  path: z.string(),
  /** Key of `backends`. */
  backend: z.string(),
});
export type HttpRoute = z.infer<typeof httpRoute>;

export const tcpRoute = z.object({ port: portNumber, backend: z.string() });
export type TcpRoute = z.infer<typeof tcpRoute>;

export const routeTable = z.object({
  version: z.int(),
  http: z.array(httpRoute),
  tcp: z.array(tcpRoute),
  backends: z.record(z.string(), backend),
  /** Signs the cookies by which clients keep their share (base64url); there where some backend is gray. */
  stickyKey: z.optional(z.string()),
});
export type RouteTable = z.infer<typeof routeTable>;

export const routerStatus = z.object({
  /** The version in force for every new request. */
  version: z.int(),
  url: z.string(),
  driver: z.string(),
  /** Requests and connections still open, by instance id; instances without any are left out. */
  open: z.record(z.string(), z.int()),
  /** TCP ports that could not be bound, with the reason. */
  problems: z.array(z.string()),
});
export type RouterStatus = z.infer<typeof routerStatus>;
