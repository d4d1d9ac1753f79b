/**
 * Which of nginx's variables an app's own configuration may use: those about its own requests and answers. Variables are
 * shared by all of a router's configuration, so an app may set only names that begin with `app_`. Pure.
 */

/** https://nginx.org/en/docs/varindex.html */
const known = new Set(
  (
    'args query_string is_args uri document_uri request_uri request request_method scheme https host ' +
    'remote_addr binary_remote_addr remote_port server_port server_protocol content_type content_length ' +
    'request_id request_time request_length request_completion status body_bytes_sent bytes_sent msec time_iso8601 ' +
    'time_local connection connection_requests proxy_add_x_forwarded_for gzip_ratio limit_rate invalid_referer ' +
    'upstream_status upstream_response_time upstream_response_length upstream_connect_time upstream_header_time ' +
    'upstream_cache_status ssl_protocol ssl_cipher ssl_server_name http2'
  ).split(' '),
);
const families = /^(?:arg|http|cookie|sent_http|sent_trailer|upstream_http|upstream_trailer|app)_\w+$/;
const captures = /^[1-9]$/;

/** Names after `$` in a text that nginx expands, without those in `allowed`. */
export function foreignVariables(text: string): string[] {
  const names = [...text.matchAll(/\$(?:\{(\w*)\}|(\w+))/g)].map(([, braced, plain]) => braced ?? plain ?? '');
  return names.filter((name) => !isReadable(name));
}

// `$10` is the capture 1 and a zero.
const isReadable = (name: string): boolean =>
  known.has(name.toLowerCase()) || families.test(name.toLowerCase()) || captures.test(name) || /^[1-9]\d/.test(name);

/** Whether an app may give the variable a value. @param name without `$` */
export const isOwnVariable = (name: string): boolean => /^app_\w{1,60}$/i.test(name);

/** Named groups of an expression set variables of the same names (ngx_http_regex): those that are not the app's own. */
export function foreignCaptures(expression: string): string[] {
  return [...expression.matchAll(/\(\?(?:P?<(?![=!])|')([^>')]*)/g)]
    .map(([, name]) => name!)
    .filter((name) => !isOwnVariable(name));
}
