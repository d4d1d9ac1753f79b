/** The control socket of the router process: HTTP over a unix socket that only its user may open. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { chmodSync, rmSync } from 'node:fs';
import type { RouterStatus, RouterTraffic } from '../../shared/contracts/routes.ts';
import { asPaasError, PaasError } from '../../shared/errors.ts';
import { keepOn } from './listening.ts';

export interface AdminHandlers {
  status(): RouterStatus;
  traffic(): RouterTraffic;
  /** @param text the table as JSON. @throws PaasError `bad_request` */
  apply(text: string): Promise<RouterStatus>;
}

/** 10,000 routes with 10,000 backends of ten endpoints each take about 15 MB. */
const maxTable = 128 * 1024 * 1024;

/** Listens on `path` with mode 0600, in place of a socket that a dead router left. The caller holds the lock. */
export async function startAdmin(path: string, handlers: AdminHandlers): Promise<Server> {
  const server = createServer((request, response) => void answer(request, response, handlers));
  rmSync(path, { force: true });
  // The directory is 0700; the mask closes the moment between bind and chmod all the same.
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    keepOn(server, path);
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
  return server;
}

async function answer(request: IncomingMessage, response: ServerResponse, handlers: AdminHandlers): Promise<void> {
  try {
    const call = `${request.method ?? ''} ${request.url ?? ''}`;
    if (call === 'GET /status') send(response, 200, handlers.status());
    else if (call === 'GET /traffic') send(response, 200, handlers.traffic());
    else if (call === 'PUT /table') send(response, 200, await handlers.apply(await read(request)));
    else throw new PaasError('not_found', `The router has no ${call}.`);
  } catch (thrown) {
    const error = asPaasError(thrown);
    send(response, error.http, { error });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxTable) throw new PaasError('too_large', `A route table may have at most ${maxTable} bytes.`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
