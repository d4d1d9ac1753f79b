/**
 * Directives that an app may use in its location (https://nginx.org/en/docs/dirindex.html), each with what of it reaches
 * further and is refused. Pure.
 */
import { foreignCaptures, isOwnVariable } from './variables.ts';

export interface Rule {
  /** Arguments it needs at least; default 1. What else of them is wrong, nginx says. */
  min?: number;
  /** It has a block in braces. */
  block?: boolean;
  /** The arguments in which nginx expands variables, where not all of them: a `$` in an expression is its end. */
  expanded?: (args: readonly string[]) => readonly string[];
  /** Its arguments may have several lines; elsewhere a line break would begin another header field. */
  lines?: boolean;
  /** Why these arguments are refused. */
  flaw?: (args: readonly string[]) => string | undefined;
}

const plain: Rule = {};

/** Fields that the router sets for every app, or that say where a message ends. */
const routerFields =
  /^(?:host|connection|upgrade|keep-alive|te|trailer|transfer-encoding|content-length|expect|proxy-.*|forwarded|x-forwarded-.*|x-real-ip|x-request-id|x-accel-.*|traceparent|tracestate)$/i;
/** RFC 9110, 5.6.2, without `$`. */
const token = /^[!#%&'*+.^_`|~0-9A-Za-z-]+$/;
function fieldFlaw([name = '']: readonly string[]): string | undefined {
  if (routerFields.test(name)) return `the router sets \`${name}\` itself`;
  if (name.includes('$')) return "a field's name must be written out";
  return token.test(name) ? undefined : "a field's name has letters, digits and `-`";
}
const field: Rule = { flaw: fieldFlaw };

/** nginx gives so much memory to each request. */
const memory = (most: number): Rule => ({
  flaw: (args) => {
    const bytes = args.map(bytesOf).reduce((product, value) => product * value, 1);
    return bytes <= most ? undefined : `at most ${most / 1024}k of memory for a request`;
  },
});
function bytesOf(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9})([kKmM]?)$/.exec(text) ?? [];
  return digits === '' ? Infinity : Number(digits) * ({ k: 1024, m: 1024 * 1024 }[unit.toLowerCase()] ?? 1);
}

/** Whoever may hold a connection for ever may hold all that a router has. @param most seconds */
const time = (most: number): Rule => ({
  flaw: (args) => {
    const wrong = args.find((arg) => !(secondsOf(arg) <= most));
    if (wrong === undefined) return undefined;
    return Number.isNaN(secondsOf(wrong)) ? `\`${wrong}\` is no time such as \`30s\`` : `at most ${most / 60} minutes`;
  },
});
/** nginx's way of writing times (ngx_parse_time): `1h30m`, `500ms`, `60`. */
const unitSeconds: Readonly<Record<string, number>> = {
  ...{ y: 31_536_000, M: 2_592_000, w: 604_800, d: 86_400, h: 3600, m: 60, s: 1, ms: 0.001, '': 1 },
};
function secondsOf(text: string): number {
  if (!/^(?=\d)(?:\d+(?:ms|[yMwdhms]) *)*\d*$/.test(text)) return NaN;
  return [...text.matchAll(/(\d+)(ms|[yMwdhms]?)/g)].reduce(
    (sum, [, digits, unit = '']) => sum + Number(digits) * unitSeconds[unit]!,
    0,
  );
}

/** A request held back until it is whole would be kept on the router's disk, however large it is. */
const streamed: Rule = {
  flaw: ([value = '']) =>
    value.toLowerCase() === 'off'
      ? undefined
      : "bodies would fill the router's disk; requests are passed on as they come",
};

function rewriteFlaw([expression = '', replacement = '', flag]: readonly string[]): string | undefined {
  const captured = foreignCaptures(expression);
  if (captured.length > 0) return captureFlaw(captured[0]!);
  // As nginx looks at it: what is in upper case is a path to it.
  if (/^(?:https?:\/\/|\$scheme)/.test(replacement) || flag === 'redirect' || flag === 'permanent') return undefined;
  // `last`, or no flag, has nginx look for another location.
  return flag === 'break' ? undefined : 'end it with `break`, `redirect` or `permanent`, so that it stays in the app';
}
const captureFlaw = (name: string): string =>
  `its expression sets \`$${name}\`; names of an app's own variables begin with \`app_\``;

const fileTests = /^!?-[fdexFDEX]$/;
function ifFlaw(args: readonly string[]): string | undefined {
  const words = args
    .join(' ')
    .replace(/^\(\s*/, '')
    .split(' ');
  if (words.some((word) => fileTests.test(word))) return "it may not look at the router's files";
  const captured = foreignCaptures(args.join(' '));
  return captured.length > 0 ? captureFlaw(captured[0]!) : undefined;
}
/** The text before the operator, and behind it where it is no expression. */
function ifExpanded(args: readonly string[]): readonly string[] {
  const at = args.findIndex((word) => /^!?~\*?$/.test(word));
  return at < 0 ? args : args.slice(0, at);
}

function errorPageFlaw(args: readonly string[]): string | undefined {
  const target = args.at(-1) ?? '';
  if (/^https?:\/\//i.test(target)) return undefined;
  return /^\/(?!\/)/.test(target) ? undefined : 'it must lead to a path of the app (`/…`) or to a URL (`https://…`)';
}

/** A body may have lines; a place to go to becomes a header field. */
function returnFlaw([code = '', text = code]: readonly string[]): string | undefined {
  const leads = text === code || /^30[1278]$/.test(code);
  return leads && /[\r\n]/.test(text) ? lineFlaw : undefined;
}
export const lineFlaw = 'a value may not have line breaks: they would begin another header field';

/** The first argument is a text, or an expression behind `~`. */
const rewriting: Rule = {
  expanded: (args) => (args[0]?.startsWith('~') ? args.slice(1) : args),
  flaw: ([expression = '']) => {
    const captured = expression.startsWith('~') ? foreignCaptures(expression) : [];
    return captured.length > 0 ? captureFlaw(captured[0]!) : undefined;
  },
};

/* prettier-ignore */
export const allowed: Readonly<Record<string, Rule>> = {
  // Answers
  add_header: { ...field, min: 2 }, add_trailer: { ...field, min: 2 }, expires: plain, etag: plain, if_modified_since: plain,
  charset: plain, charset_types: plain, source_charset: plain, override_charset: plain, default_type: plain, max_ranges: plain,
  absolute_redirect: plain, port_in_redirect: plain, chunked_transfer_encoding: plain, error_page: { min: 2, flaw: errorPageFlaw },
  limit_rate: plain, limit_rate_after: plain,
  gzip: plain, gzip_comp_level: plain, gzip_min_length: plain, gzip_types: plain, gzip_vary: plain, gzip_proxied: plain,
  gzip_http_version: plain, gzip_disable: { expanded: () => [] }, gunzip: plain,
  sub_filter: { min: 2, lines: true }, sub_filter_once: plain, sub_filter_types: plain, sub_filter_last_modified: plain,
  // Requests
  client_max_body_size: plain, client_body_timeout: time(3600), client_body_buffer_size: memory(1024 * 1024), send_timeout: time(3600),
  keepalive_timeout: time(3600), keepalive_requests: plain, keepalive_disable: plain, ignore_invalid_headers: plain,
  allow: plain, deny: plain, satisfy: plain, valid_referers: { expanded: () => [] },
  rewrite: { min: 2, expanded: (args) => args.slice(1), flaw: rewriteFlaw }, return: { lines: true, flaw: returnFlaw }, break: { min: 0 },
  if: { block: true, expanded: ifExpanded, flaw: ifFlaw },
  set: {
    min: 2,
    flaw: ([name = '']) => isOwnVariable(name.replace(/^\$/, '')) ? undefined : `names of an app's own variables begin with \`app_\`, not as in \`${name}\``,
  },
  // What passes between router and instances
  proxy_set_header: { ...field, min: 2 }, proxy_hide_header: field, proxy_read_timeout: time(86_400), proxy_send_timeout: time(3600),
  proxy_connect_timeout: time(60), proxy_buffering: plain, proxy_request_buffering: streamed, proxy_buffer_size: memory(256 * 1024),
  proxy_buffers: memory(1024 * 1024), proxy_busy_buffers_size: memory(1024 * 1024), proxy_intercept_errors: plain,
  proxy_redirect: rewriting, proxy_cookie_path: rewriting, proxy_cookie_domain: rewriting, proxy_cookie_flags: rewriting,
};

/** Why, of directives that are often asked for; by the first that fits. */
const reasons: readonly (readonly [RegExp, string])[] = [
  [/^(?:listen|server_name|server|http|events|stream|upstream|location|map|geo|limit_except|types|internal)$/, 'it reaches outside of the app; routes are for `paas routes add`'],
  [/^(?:load_module|env|user|daemon|pid|master_process|worker_.*|thread_pool|lock_file|timer_resolution)$/, 'it is about the whole router'],
  [/^(?:include|root|alias|try_files|index|autoindex.*|open_file_cache.*|dav_.*|random_index)$/, "it reads the router's files"],
  [/^(?:access_log|error_log|log_.*)$/, "the platform keeps the logs: `paas logs --source router`"],
  [/^(?:proxy|fastcgi|uwsgi|scgi|grpc|memcached)_pass$|^mirror.*$|^resolver.*$|^auth_request.*$/, 'it leads requests elsewhere; the platform chooses the instance'],
  [/^auth_basic.*$/, "its passwords would be a file of the router's; let the app ask for them"],
  [/^(?:proxy_cache|proxy_store|proxy_temp|client_body_temp|client_body_in_file|proxy_max_temp).*$/, "it writes to the router's disk"],
  [/^(?:ssl|proxy_ssl)_.*$/, 'TLS is for `paas certs`'],
  [/^(?:lua_.*|perl.*|js_.*|init_.*)$/, 'it runs code in the router'],
  [/^(?:limit_req|limit_conn).*$/, 'write `router: { rate: …, max_connections: … }` in paas.yml'],
  [/^proxy_(?:http_version|next_upstream.*|bind|ignore_headers|pass_header|socket_keepalive)$/, 'the router needs it as it is'],
]; // prettier-ignore

export const refused = (name: string): string =>
  reasons.find(([names]) => names.test(name))?.[1] ?? 'it is not among the directives that an app may use';
