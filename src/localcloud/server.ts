/**
 * The HTTP side of the embedded cloud: the SpeedyCloud API below /api/v1/products, authentication in the header mode.
 * Extensions of our own: POST /cloud_servers/:id/kill (power loss), POST /platform/shutdown, `tag` and `alias` at
 * provision.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { verifySpeedycloudHeader, type SpeedycloudRefusal } from '../clouds/signing/speedycloud.ts';
import { errnoOf } from '../shared/errors.ts';
import type { CloudLog } from './log.ts';
import { Refusal } from './refusal.ts';
import type { Handler } from './routes.ts';

export interface ServerOptions {
  apiKey: string;
  log: CloudLog;
  /** The handler of a path below /api/v1/products; undefined for none. */
  route(method: string, path: string): Handler | undefined;
}

const base = '/api/v1/products';
const maxBodyBytes = 1024 * 1024;

const refusals: Record<SpeedycloudRefusal, string> = {
  key: 'the API key is not known',
  hmac: 'the API-HMAC is wrong: it must be hex(HMAC-SHA1(API key, API-REQUEST-DATE))',
  date: 'the API-REQUEST-DATE is more than 15 minutes off: set the clock; the Date of this answer is right',
};

export function createCloudServer(options: ServerOptions): Server {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      options.log('error', 'an answer could not be sent', { error: String(error) });
      response.destroy();
    });
  });
  server.requestTimeout = 30_000;
  return server;
}

async function answer(options: ServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let status = 200;
  let body: unknown;
  try {
    body = await handle(options, request);
  } catch (error) {
    const refusal = error instanceof Refusal ? error : failure(options, request, error);
    status = refusal.status;
    body = { error: refusal.message };
  }
  const text = JSON.stringify(body ?? null);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  await new Promise<void>((resolve) => response.once('close', resolve).end(text));
}

/** What a client sees of an error that is not its own; the log has the rest. */
function failure(options: ServerOptions, request: IncomingMessage, error: unknown): Refusal {
  const detail = error instanceof Error ? error.stack : String(error);
  options.log('error', 'a request failed', { method: request.method, url: request.url, error: detail });
  if (errnoOf(error) === 'ENOSPC') return new Refusal(507, 'the disk of the cloud is full; nothing was changed');
  return new Refusal(500, 'internal error; see the log of the cloud');
}

async function handle(options: ServerOptions, request: IncomingMessage): Promise<unknown> {
  const refused = verifySpeedycloudHeader(options.apiKey, request.headers, new Date());
  if (refused) throw new Refusal(401, refusals[refused]);
  const path = (request.url ?? '/').replace(/\?.*$/, '').replace(/\/+$/, '');
  const method = request.method ?? 'GET';
  const handler = path.startsWith(`${base}/`) ? options.route(method, path.slice(base.length)) : undefined;
  if (!handler) throw new Refusal(404, `there is no ${method} ${path}`);
  return handler(await readForm(request));
}

/** The fields of a request's body: form-encoded as the provider's SDK sends it, or JSON. */
async function readForm(request: IncomingMessage): Promise<Record<string, unknown>> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    // What is too much is read all the same: a client that is still sending would not see the answer.
    if (size <= maxBodyBytes) parts.push(part);
  }
  if (size > maxBodyBytes) throw new Refusal(413, `a body may have ${maxBodyBytes} bytes at most`);
  const text = Buffer.concat(parts).toString('utf8');
  if (text === '') return {};
  if (!request.headers['content-type']?.startsWith('application/json')) {
    return Object.fromEntries(new URLSearchParams(text));
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return { ...parsed };
  } catch {
    // answered below: the text is no JSON
  }
  throw new Refusal(400, 'the body must be a JSON object');
}
