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
} as const;

export const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

/**
 * The whole response as text.
 * @param to `accept`: the client's Accept header; `body` false for HEAD; `close`: the connection ends behind it
 */
export function problemResponse(
  problem: Problem,
  to: { accept: string; body: boolean; close: boolean; requestId: string },
): string {
  const title = titles[problem.status] ?? 'Error';
  const type = preferred(to.accept);
  const text = renderProblem(problem, type, to.requestId);
  const bytes = Buffer.from(text);
  const retry = problem.retryAfterSeconds === undefined ? '' : `Retry-After: ${problem.retryAfterSeconds}\r\n`;
  return (
    `HTTP/1.1 ${problem.status} ${title}\r\nContent-Type: ${type}; charset=utf-8\r\nContent-Length: ${bytes.length}\r\n` +
    `Cache-Control: no-store\r\nX-Router-Error: ${problem.reason}\r\nDate: ${new Date().toUTCString()}\r\n` +
    `${retry}${to.requestId === '' ? '' : `X-Request-Id: ${to.requestId}\r\n`}` +
    `${to.close ? 'Connection: close\r\n' : ''}\r\n${to.body ? bytes.toString('latin1') : ''}`
  );
}

/** A page's content in a media type. @param requestId '' where there is none */
export function renderProblem(problem: Problem, type: MediaType, requestId: string): string {
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
