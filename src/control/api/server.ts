/** The HTTP server: signatures, authorisation, idempotency and errors in one place; what it serves is in the endpoints. */
import { createHash } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { asPaasError, PaasError } from '../../shared/errors.ts';
import { checkContentDigest, verifyRequest } from '../../shared/signing/index.ts';
import { version } from '../../shared/version.ts';
import type { Control } from '../context.ts';
import { abandonIdempotent, beginIdempotent, finishIdempotent } from '../store/idempotency.ts';
import type { StoredNonces } from '../store/nonces.ts';
import type { Trx } from '../store/open.ts';
import { authorise, parseBody, type Endpoint, type Principal } from './define.ts';
import { openapi } from './openapi.ts';

/** The largest upload chunk is 8 MiB; JSON bodies are far smaller. */
const bodyLimit = 9 << 20;

export interface Keys {
  /** Who a key is, with its secret in clear; null when unknown or revoked. */
  find(keyId: string): Promise<{ secret: string; principal: Principal } | null>;
}

export interface ApiDeps {
  control: Control;
  keys: Keys;
  nonces: StoredNonces;
  endpoints: readonly Endpoint[];
  tls: { cert: Buffer; key: Buffer } | null;
}

export function createApi(deps: ApiDeps): FastifyInstance {
  const app: FastifyInstance = Fastify({
    ...(deps.tls ? { https: deps.tls } : {}),
    bodyLimit,
    logger: false,
    forceCloseConnections: true,
    // A path that cannot be decoded, or has a part that is too long, never comes to a handler.
    frameworkErrors: (error, request, reply) => void answerError(deps, error, request, reply),
    requestTimeout: 0,
    routerOptions: { maxParamLength: 300 },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('paas-version', version).header('cache-control', 'no-store');
    done();
  });
  app.setErrorHandler((error, request, reply) => answerError(deps, error, request, reply));
  app.setNotFoundHandler((request, reply) => {
    const error = new PaasError('not_found', `There is no ${request.method} ${request.url.split('?')[0] ?? ''}.`, {
      hint: 'See /openapi.json.',
    });
    void reply.code(404).send({ error });
  });
  app.get('/healthz', () => ({ ok: true, version }));
  app.get('/openapi.json', () => openapi(deps.endpoints));
  for (const endpoint of deps.endpoints) {
    app.route({
      method: endpoint.method,
      url: endpoint.path,
      handler: (request, reply) => serve(deps, endpoint, request, reply),
    });
  }
  return app;
}

/** Who signed the request. Also used for WebSocket upgrades, which do not pass through Fastify. */
export async function authenticate(
  deps: Pick<ApiDeps, 'keys' | 'nonces' | 'tls'>,
  request: { method: string; url: string; headers: FastifyRequest['headers'] },
): Promise<Principal> {
  let principal: Principal | null = null;
  // Field by field: those of a Fastify request are inherited getters, which a spread leaves out.
  const { method, url, headers } = request;
  await verifyRequest(
    { method, url, headers, scheme: deps.tls ? 'https' : 'http' },
    {
      nonces: deps.nonces,
      lookup: async (keyId) => {
        const key = await deps.keys.find(keyId);
        principal = key?.principal ?? null;
        return key?.secret ?? null;
      },
    },
  );
  // verifyRequest refuses unknown keys, so whoever comes here has one.
  return principal as unknown as Principal;
}

async function serve(
  deps: ApiDeps,
  endpoint: Endpoint,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const open = endpoint.path === '/v1/agents/enrol';
  const principal = open ? nobody : await authenticate(deps, request);
  const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  if (!open) {
    if (request.headers['content-digest'] !== undefined || bytes.length > 0) {
      checkContentDigest(request.headers, createHash('sha256').update(bytes).digest());
    }
    authorise(principal, endpoint.role);
  }
  const body = endpoint.raw === true ? bytes : endpoint.body ? parseBody(endpoint.body, parseJson(bytes)) : undefined;
  const call = {
    control: deps.control,
    principal,
    params: request.params as Record<string, string>,
    query: single(request.query as Record<string, string | string[]>),
    body,
    request,
    reply,
  };
  const key = request.headers['idempotency-key'];
  const status = endpoint.status ?? 200;
  if (endpoint.method === 'GET' || endpoint.role === 'agent' || typeof key !== 'string' || open) {
    const answer = await endpoint.handle({ ...call, commit: (work) => deps.control.store.transaction(work) });
    await endpoint.settle?.(call);
    return reply.sent || reply.raw.headersSent ? reply : reply.code(status).send(answer ?? {});
  }
  return idempotent(deps, endpoint, { ...call, key, bytes, status });
}

async function idempotent(
  deps: ApiDeps,
  endpoint: Endpoint,
  call: Omit<Parameters<Endpoint['handle']>[0], 'commit'> & { key: string; bytes: Buffer; status: number },
): Promise<unknown> {
  const { store } = deps.control;
  const { keyId } = call.principal;
  const { key, bytes, status, reply } = call;
  if (key.length > 200) throw new PaasError('bad_request', 'An Idempotency-Key has at most 200 characters.');
  const fingerprint = createHash('sha256')
    .update(`${endpoint.method} ${call.request.url}\n`)
    .update(bytes)
    .digest('hex');
  const begun = await beginIdempotent(store, keyId, key, fingerprint);
  if (begun.state === 'done') {
    await endpoint.settle?.(call);
    return reply.code(begun.status).header('content-type', 'application/json').send(begun.body);
  }
  const recorded: { body: string | null } = { body: null };
  try {
    const commit = async <T>(work: (trx: Trx) => Promise<T>): Promise<T> => {
      const committed = await store.transaction(async (trx) => {
        const answer = await work(trx);
        const body = JSON.stringify(answer ?? {});
        await trx
          .updateTable('idempotency')
          .set({ status, body })
          .where('key_id', '=', keyId)
          .where('key', '=', key)
          .execute();
        return { answer, body };
      });
      recorded.body = committed.body;
      return committed.answer;
    };
    const answer = (await endpoint.handle({ ...call, commit })) ?? {};
    const body = JSON.stringify(answer);
    // What a handler makes of its commit's answer afterwards is what the first caller sees, so a repeated one does too.
    if (recorded.body !== body) await finishIdempotent(store, keyId, key, status, body);
    await endpoint.settle?.(call);
    return await reply.code(status).send(answer);
  } catch (error) {
    // What was committed stays answered; what failed before that may be repeated.
    if (recorded.body === null) await abandonIdempotent(store, keyId, key);
    throw error;
  }
}

/** Query parameters, each given once. @throws PaasError bad_request */
function single(query: Record<string, string | string[]>): Record<string, string> {
  for (const [name, value] of Object.entries(query))
    if (typeof value !== 'string') throw new PaasError('bad_request', `${name} is given more than once.`);
  return query as Record<string, string>;
}

const nobody: Principal = { name: 'nobody', keyId: '', role: 'agent', hostId: null };

function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new PaasError('bad_request', 'The body is not JSON.', { cause });
  }
}

function answerError(deps: ApiDeps, thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = translate(thrown);
  if (error.code === 'internal') {
    deps.control.logger.error('a request failed by a bug', thrown, {
      method: request.method,
      url: request.url.split('?')[0],
    });
  }
  return reply.code(error.http).header('date', new Date().toUTCString()).send({ error: error.toJSON() });
}

/** Fastify's own refusals (body too large, bad URL) in our words. */
function translate(thrown: unknown): PaasError {
  if (thrown instanceof PaasError) return thrown;
  if (
    thrown instanceof Error &&
    'statusCode' in thrown &&
    typeof thrown.statusCode === 'number' &&
    thrown.statusCode < 500
  ) {
    return new PaasError(thrown.statusCode === 413 ? 'too_large' : 'bad_request', thrown.message, { cause: thrown });
  }
  return asPaasError(thrown);
}
