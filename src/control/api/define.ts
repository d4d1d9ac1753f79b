/** How an API endpoint is written: its path, who may call it, its schemas, its handler. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod/mini';
import { PaasError } from '../../shared/errors.ts';
import { describeIssues } from '../../shared/issues.ts';
import type { Control } from '../context.ts';
import type { Trx } from '../store/open.ts';

export type Role = 'viewer' | 'developer' | 'owner' | 'agent';

export interface Principal {
  /** `key:local-admin`: who asked, in events. */
  name: string;
  keyId: string;
  role: Role;
  /** Agents: their host. */
  hostId: string | null;
}

export interface Call<Body> {
  control: Control;
  principal: Principal;
  params: Record<string, string>;
  query: Record<string, string>;
  body: Body;
  request: FastifyRequest;
  reply: FastifyReply;
  /**
   * Runs a change in one transaction that also records the answer under the request's Idempotency-Key: after a crash
   * either both are there or neither, so a repeated request never acts twice.
   */
  commit: <T>(work: (trx: Trx) => Promise<T>) => Promise<T>;
}

export interface Endpoint<Body = unknown> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  summary: string;
  role: Role;
  body?: z.ZodMiniType<Body>;
  response?: z.ZodMiniType;
  /** The body is bytes, not JSON. */
  raw?: boolean;
  status?: number;
  handle: (call: Call<Body>) => Promise<unknown>;
  /** What is waited for before the answer, also before one that an earlier try of the same request has brought about. */
  settle?: (call: Omit<Call<Body>, 'commit'>) => Promise<void>;
}

/** Keeps the body's type for the handler; a list of endpoints forgets it. */
export function endpoint<Body = undefined>(definition: Endpoint<Body>): Endpoint {
  return definition as unknown as Endpoint;
}

const ranks: Record<Role, number> = { agent: 0, viewer: 1, developer: 2, owner: 3 };

/** @throws PaasError not_allowed */
export function authorise(principal: Principal, needed: Role): void {
  const allowed =
    needed === 'agent'
      ? principal.role === 'agent'
      : principal.role !== 'agent' && ranks[principal.role] >= ranks[needed];
  if (allowed) return;
  throw new PaasError('not_allowed', `${principal.name} is ${principal.role}; this needs ${needed}.`);
}

/** Parses a body by its schema. @throws PaasError bad_request naming every field that is wrong, never a value */
export function parseBody<T>(schema: z.ZodMiniType<T>, value: unknown): T {
  const result = z.safeParse(schema, value);
  if (result.success) return result.data;
  const problems = result.error.issues.slice(0, 10).map((issue) => describeIssues([issue], 'body'));
  throw new PaasError('bad_request', `The request is malformed: ${problems.join('; ')}`, { details: { problems } });
}

/** An integer of the query, or the default. @throws PaasError bad_request */
export function queryInt(query: Record<string, string>, name: string, fallback: number, max: number): number {
  const text = query[name];
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new PaasError('bad_request', `${name} must be a whole number from 0 to ${max}.`);
}
