/** Answers requests for the files of a site: types, ranges, entity tags, precompressed files, fallbacks. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { basename, extname, join, relative, sep } from 'node:path';
import { contentType } from 'mime-types';
import send from 'send';
import { EntityTags } from './etag.ts';
import { fileInside, locate, type SiteFile } from './locate.ts';

export interface SiteOptions {
  /** The site's directory, links resolved. */
  root: string;
  /** Paths that are no file get index.html, for apps that route in the browser. */
  pushstate: boolean;
  /** Called once a request, when it is over. */
  log: (line: string) => void;
}

const encodings = [
  { name: 'br', suffix: '.br' },
  { name: 'gzip', suffix: '.gz' },
];

/** Names that bundlers give: a hash of the content, in hex with both digits and letters, before the extension. */
const hashedName =
  /[.-](?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,64}\.(css|js|mjs|map|wasm|json|woff2?|ttf|svg|png|jpe?g|gif|webp|avif|ico)$/;

/** A request listener for `node:http`. It answers every request, whatever happens. */
export function createSite(options: SiteOptions): RequestListener {
  const tags = new EntityTags();
  return (request, response) => {
    const started = process.hrtime.bigint();
    response.once('close', () => {
      const ms = Number((process.hrtime.bigint() - started) / 1_000_000n);
      const path = (request.url ?? '').replace(/\?.*$/s, '');
      options.log(`${request.method ?? ''} ${path} ${response.statusCode} ${ms}ms`);
    });
    answer(options, tags, request, response).catch((error: unknown) => {
      options.log(`error: ${error instanceof Error ? error.message : String(error)}`);
      if (response.headersSent) response.destroy();
      else plain(request, response, 500, 'Internal server error');
    });
  };
}

async function answer(
  options: SiteOptions,
  tags: EntityTags,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('X-Content-Type-Options', 'nosniff');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    plain(request, response, 405, 'Method not allowed');
    return;
  }
  const located = await locate(options.root, request.url ?? '/');
  if (located.kind === 'bad') plain(request, response, 400, 'Bad request');
  else if (located.kind === 'redirect') {
    response.setHeader('Location', located.to);
    plain(request, response, 301, `Moved to ${located.to}`);
  } else if (located.kind === 'file') {
    await sendFile(options.root, tags, request, response, located.file);
  } else if (options.pushstate && isPage(located.segments)) {
    await sendInstead(options.root, tags, request, response, 'index.html', 200);
  } else {
    await sendInstead(options.root, tags, request, response, '404.html', 404);
  }
}

/** A path without an extension is a page of the app; a missing script must not come back as HTML. */
function isPage(segments: readonly string[]): boolean {
  return !segments.some((segment) => segment.startsWith('.')) && extname(segments.at(-1) ?? '') === '';
}

async function sendInstead(
  root: string,
  tags: EntityTags,
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
  status: number,
): Promise<void> {
  const file = await fileInside(root, join(root, name));
  if (file === null) {
    plain(request, response, 404, 'Not found');
    return;
  }
  response.statusCode = status;
  if (status !== 200) {
    // An error page is neither cut to a range nor answered with `not modified`.
    delete request.headers.range;
    delete request.headers['if-match'];
    delete request.headers['if-none-match'];
  }
  await sendFile(root, tags, request, response, file);
}

async function sendFile(
  root: string,
  tags: EntityTags,
  request: IncomingMessage,
  response: ServerResponse,
  file: SiteFile,
): Promise<void> {
  const chosen = await negotiate(root, request, response, file);
  const name = basename(file.path);
  response.setHeader('Content-Type', contentType(name) || 'application/octet-stream');
  response.setHeader('ETag', await tags.of(chosen));
  const immutable = response.statusCode === 200 && hashedName.test(name);
  response.setHeader('Cache-Control', immutable ? 'public, max-age=31536000, immutable' : 'no-cache');
  const path = relative(root, chosen.path).split(sep).map(encodeURIComponent).join('/');
  const ours = { etag: false, lastModified: false, cacheControl: false, index: false, dotfiles: 'allow' } as const;
  send(request, path, { root, ...ours }).pipe(response);
}

/** The precompressed file beside this one that the client takes, or this one. */
async function negotiate(
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
  file: SiteFile,
): Promise<SiteFile> {
  const accepted = acceptedEncodings([request.headers['accept-encoding'] ?? ''].flat().join(','));
  let chosen: SiteFile | undefined;
  for (const { name, suffix } of encodings) {
    const variant = await fileInside(root, file.path + suffix);
    if (variant === null) continue;
    response.setHeader('Vary', 'Accept-Encoding');
    if (chosen === undefined && accepted.has(name)) {
      chosen = variant;
      response.setHeader('Content-Encoding', name);
    }
  }
  return chosen ?? file;
}

/** Codings of an Accept-Encoding header (RFC 9110, 12.5.3) whose weight is not 0. */
function acceptedEncodings(header: string): Set<string> {
  const accepted = new Set<string>();
  for (const item of header.toLowerCase().split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
    if (parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) continue;
    if (name === '*') for (const encoding of encodings) accepted.add(encoding.name);
    else accepted.add(name);
  }
  return accepted;
}

function plain(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  const body = `${text}\n`;
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(request.method === 'HEAD' ? undefined : body);
}
