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

export const backend = z.object({
  /** `project/environment/app`, shown on error pages and in access logs. */
  app: z.string(),
  appId: z.string(),
  /** stopped: scaled to 0 or `paas stop`; starting: never had a healthy instance; unknown app otherwise. */
  state: z.enum(['serving', 'starting', 'stopped']),
  endpoints: z.array(endpoint),
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
