/** What a user sees when the router itself answers: what is wrong and what to type. HTML, JSON or plain text by Accept. */
import type { ErrorBody, ErrorCode } from '../shared/errors.ts';

export interface Problem {
  status: number;
  code: ErrorCode;
  /** For the `X-Router-Error` header: tells the router's answers from the app's. */
  reason: string;
  message: string;
  hint: string;
  /** `project/environment/app`, where one is known. */
  app?: string;
  retryAfterSeconds?: number;
  /** HTML for all who do not ask for JSON. */
  page?: string;
}

/** `-a shop -p store -e prod`: how to name an app on the command line. */
export function flags(app: string): string {
  const [project = 'default', environment = 'dev', name = ''] = app.split('/');
  return `-a ${name}${project === 'default' ? '' : ` -p ${project}`}${environment === 'dev' ? '' : ` -e ${environment}`}`;
}

export const problems = {
  badRequest: (status: number, detail: string): Problem => ({
    status,
    code: 'bad_request',
    reason: 'bad-request',
    message: `The request cannot be understood: ${detail}.`,
    hint: 'This is the fault of the client that sent it.',
  }),
  requestTimeout: (): Problem => ({
    status: 408,
    code: 'timeout',
    reason: 'request-timeout',
    message: 'The request was not sent completely in time.',
    hint: 'Send it again.',
  }),
  noTable: (): Problem => ({
    status: 503,
    code: 'unavailable',
    reason: 'no-table',
    message: 'The router has just been started and knows no routes yet.',
    hint: 'Try again in a few seconds; see `paas status`.',
    retryAfterSeconds: 2,
  }),
  noRoute: (host: string, path: string): Problem => ({
    status: 404,
    code: 'not_found',
    reason: 'no-route',
    message: `No app is routed at ${host}${path}.`,
    hint: 'See `paas apps` for the apps and their addresses, and add one with `paas routes add HOST[/PATH] -a APP`.',
  }),
  stopped: (app: string): Problem => ({
    status: 503,
    code: 'unavailable',
    reason: 'app-stopped',
    message: `The app ${app} is stopped.`,
    hint: `Start it with \`paas start ${flags(app)}\`, or with \`paas scale web=1 ${flags(app)}\`.`,
    app,
  }),
  starting: (app: string): Problem => ({
    status: 503,
    code: 'unavailable',
    reason: 'app-starting',
    message: `The app ${app} is starting; none of its instances is healthy yet.`,
    hint: `Follow it with \`paas ps ${flags(app)}\` and \`paas logs -t ${flags(app)}\`.`,
    app,
    retryAfterSeconds: 2,
  }),
  noInstance: (app: string): Problem => ({
    status: 503,
    code: 'unavailable',
    reason: 'no-instance',
    message: `The app ${app} has no healthy instance.`,
    hint: `See \`paas ps ${flags(app)}\` and \`paas logs ${flags(app)}\`.`,
    app,
    retryAfterSeconds: 5,
  }),
  refused: (app: string, instance: string, detail: string): Problem => ({
    status: 502,
    code: 'unavailable',
    reason: 'instance-refused',
    message: `Instance ${instance} of ${app} does not accept connections (${detail}). The request was not sent.`,
    hint: `See \`paas ps ${flags(app)}\` and \`paas logs --instance ${instance} ${flags(app)}\`.`,
    app,
  }),
  /** What is said of an app that has no instance to go to. */
  withoutEndpoint: (state: 'serving' | 'starting' | 'stopped', app: string): Problem =>
    state === 'serving' ? problems.noInstance(app) : problems[state](app),
  /** @param why as ResponseSink.onBroken has it; `seconds` is the limit where that is `timeout` */
  broken: (
    why: 'timeout' | 'invalid' | 'closed',
    app: string,
    instance: string,
    detail: string,
    seconds: number,
  ): Problem => {
    if (why === 'timeout') return problems.tooSlow(app, instance, seconds);
    return why === 'invalid' ? problems.invalid(app, instance, detail) : problems.broke(app, instance, detail);
  },
  broke: (app: string, instance: string, detail: string): Problem => ({
    status: 502,
    code: 'unavailable',
    reason: 'instance-broke',
    message: `Instance ${instance} of ${app} broke off before its answer: ${detail}.`,
    hint: `The request may have been carried out. See \`paas logs --instance ${instance} ${flags(app)}\`.`,
    app,
  }),
  invalid: (app: string, instance: string, detail: string): Problem => ({
    status: 502,
    code: 'unavailable',
    reason: 'instance-invalid',
    message: `Instance ${instance} of ${app} gave an answer that is not valid HTTP: ${detail}.`,
    hint: `Does it listen on PORT with plain HTTP? See \`paas logs --instance ${instance} ${flags(app)}\`.`,
    app,
  }),
  tooSlow: (app: string, instance: string, seconds: number): Problem => ({
    status: 504,
    code: 'timeout',
    reason: 'instance-timeout',
    message: `Instance ${instance} of ${app} did not begin to answer within ${seconds} s.`,
    hint: `The request may still be carried out. See \`paas logs --instance ${instance} ${flags(app)}\`.`,
    app,
  }),
  unreachable: (app: string, instance: string): Problem => ({
    status: 504,
    code: 'timeout',
    reason: 'instance-unreachable',
    message: `Instance ${instance} of ${app} cannot be reached: its host does not answer. The request was not sent.`,
    hint: `See \`paas hosts\` and \`paas ps ${flags(app)}\`.`,
    app,
  }),
  /**
   * For the app's users: what its people do about it is no affair of theirs.
   * @param page HTML in place of the router's own
   */
  maintenance: (app: string, page?: string): Problem => ({
    status: 503,
    code: 'unavailable',
    reason: 'maintenance',
    message: 'This page is being worked on and will be back soon.',
    hint: 'Try again in a few minutes.',
    app,
    retryAfterSeconds: 60,
    ...(page === undefined ? {} : { page }),
  }),
  /** @param why it found the queue full, or waited in it for too long */
  busy: (app: string, why: 'full' | 'waited'): Problem => ({
    status: 503,
    code: 'unavailable',
    reason: why === 'full' ? 'queue-full' : 'queue-timeout',
    message:
      why === 'full'
        ? `All instances of ${app} are busy, and no more requests may wait for them.`
        : `All instances of ${app} were busy for as long as a request may wait for them. The request was not sent.`,
    hint: `Give it more instances (\`paas scale ${flags(app)}\`), or raise its limits.`,
    app,
    retryAfterSeconds: 1,
  }),
  /** @param waitMs how long until a request of this client would be taken */
  tooMany: (app: string, waitMs: number): Problem => ({
    status: 429,
    code: 'unavailable',
    reason: 'rate-limited',
    message: `There were too many requests to ${app} from this address.`,
    hint: 'Ask less often; the limit is `router.rate` of its manifest.',
    app,
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
  }),
  bodyTooLarge: (app: string, maxBytes: number): Problem => ({
    status: 413,
    code: 'too_large',
    reason: 'body-too-large',
    message: `A request to ${app} may have a body of at most ${maxBytes} bytes.`,
    hint: 'Send less at a time; the limit is `router.max_body` of its manifest.',
    app,
  }),
} as const;

export const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

/** What the client gets: `accept`: its Accept header; `body` false for HEAD; `close`: the connection ends behind it. */
export interface Delivery {
  accept: string;
  body: boolean;
  close: boolean;
  requestId: string;
}

/** The whole response as latin1 text. */
export function problemResponse(problem: Problem, to: Delivery): string {
  const title = titles[problem.status] ?? 'Error';
  const asked = preferred(to.accept);
  const type = problem.page !== undefined && asked !== 'application/json' ? 'text/html' : asked;
  const retry = problem.retryAfterSeconds === undefined ? '' : `Retry-After: ${problem.retryAfterSeconds}\r\n`;
  const fields = `Content-Type: ${type}; charset=utf-8\r\nCache-Control: no-store\r\nX-Router-Error: ${problem.reason}\r\n`;
  return wholeResponse(
    `${problem.status} ${title}`,
    fields + retry,
    Buffer.from(renderProblem(problem, type, to.requestId)),
    to,
  );
}

/** To the same place over TLS; 308 keeps method and body (RFC 9110, 15.4.9). */
export function redirectResponse(location: string, to: Delivery): string {
  return wholeResponse('308 Permanent Redirect', `Location: ${location}\r\n`, Buffer.alloc(0), to);
}

/** The answer to a challenge of ACME's HTTP-01 (RFC 8555, 8.3). */
export function challengeResponse(answer: string, to: Delivery): string {
  return wholeResponse('200 OK', 'Content-Type: application/octet-stream\r\n', Buffer.from(answer), to);
}

function wholeResponse(status: string, fields: string, content: Buffer, to: Delivery): string {
  return (
    `HTTP/1.1 ${status}\r\n${fields}Content-Length: ${content.length}\r\nDate: ${new Date().toUTCString()}\r\n` +
    `${to.requestId === '' ? '' : `X-Request-Id: ${to.requestId}\r\n`}${to.close ? 'Connection: close\r\n' : ''}` +
    `\r\n${to.body ? content.toString('latin1') : ''}`
  );
}

/** A page's content in a media type. @param requestId '' where there is none */
export function renderProblem(problem: Problem, type: MediaType, requestId: string): string {
  if (type === 'text/html' && problem.page !== undefined) return problem.page;
  const title = `${problem.status} ${titles[problem.status] ?? 'Error'}`;
  if (type === 'application/json') {
    const details = { status: problem.status, reason: problem.reason, app: problem.app, requestId };
    const error: ErrorBody = { code: problem.code, message: problem.message, hint: problem.hint, details };
    return `${JSON.stringify({ error })}\n`;
  }
  const id = requestId === '' ? '' : `Request id: ${requestId}`;
  if (type === 'text/plain') return `${title}\n\n${problem.message}\n${problem.hint}\n\n${id}\n`;
  const hint = escapeHtml(problem.hint).replaceAll(/`([^`]*)`/g, '<code>$1</code>');
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<title>${title}</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;` +
    `padding:0 1rem;color:#222}code{background:#eee;padding:.1em .3em;border-radius:3px}small{color:#666}</style>` +
    `<h1>${title}</h1><p>${escapeHtml(problem.message)}</p><p>${hint}</p><small>${escapeHtml(id)}</small></html>\n`
  );
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

export type MediaType = 'text/plain' | 'text/html' | 'application/json';

/** The media type that Accept (RFC 9110, 12.5.1) prefers; plain text where it does not care, as from curl. */
export function preferred(accept: string): MediaType {
  let best: MediaType = 'text/plain';
  let bestQuality = 0;
  for (const range of accept.toLowerCase().split(',').slice(0, 50)) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim());
    const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1);
    const type = offered(name);
    if (type && quality > bestQuality) {
      best = type;
      bestQuality = quality;
    }
  }
  return best;
}

function offered(name: string): MediaType | null {
  if (name === 'text/html' || name === 'application/xhtml+xml') return 'text/html';
  if (name === 'application/json' || name.endsWith('+json')) return 'application/json';
  return name === 'text/plain' ? 'text/plain' : null;
}
