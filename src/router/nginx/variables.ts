/**
 * Variables of nginx about a request: who asks, what an instance is told of it, its id and trace, and what of it is usual.
 * nginx evaluates them when they are first read.
 */

/** W3C trace context (https://www.w3.org/TR/trace-context/): later versions may have more behind what is known of them. */
const traceForm =
  '~^(?!ff)(?!00-.{52}.)[0-9a-f]{2}-(?!0{32})(?<id>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$';

/**
 * @param trustedProxies networks whose word about the client counts
 * @returns `map` and `geo` blocks
 */
export function variablesText(trustedProxies: readonly string[]): string {
  const trusted = ['127.0.0.0/8', '::1/128', ...trustedProxies];
  return `  geo $paas_trusted {
    default 0;
${trusted.map((proxy) => `    ${proxy} 1;`).join('\n')}
  }
  map $http_x_forwarded_for $paas_forwarded_for { "" $remote_addr; default $paas_forwarded_for_sent; }
  map $paas_trusted $paas_forwarded_for_sent { 1 "$http_x_forwarded_for, $remote_addr"; default $remote_addr; }
  map $http_x_forwarded_for $paas_client { "" $remote_addr; default $paas_client_sent; }
  map "$paas_trusted $http_x_forwarded_for" $paas_client_sent {
    "~^1 (?:.*,)?\\s*([^,\\s\\x22=\\x5c]+)\\s*$" $1;
    default $remote_addr;
  }
${sentText('http_x_forwarded_proto', 'paas_proto', '(https?)', '$scheme')}
${sentText('http_x_forwarded_host', 'paas_forwarded_host', '(.+)', '$http_host')}
${sentText('http_x_forwarded_port', 'paas_forwarded_port', '([0-9]+)', '$server_port')}
${sentText('http_forwarded', 'paas_forwarded', '(.+)', '""')}
  map $http_x_request_id $paas_logged_id { "" $paas_id; default $paas_logged_id_sent; }
  map $paas_request_id $paas_logged_id_sent { "~=" "\\"$paas_request_id\\""; default $paas_request_id; }
  map "" $paas_logged {
    default "$body_bytes_sent client=$paas_client request_id=$paas_logged_id trace_id=$paas_trace_id";
  }
  map $http_x_request_id $paas_request_id {
    "" $paas_id;
    "~^[A-Za-z0-9._~+/=:@-]{1,200}$" $http_x_request_id;
    default $paas_id;
  }
  map $upstream_http_x_request_id $paas_answered_id { "" $paas_request_id; default ""; }
  map $paas_traceparent $paas_trace_id { "" $paas_id; "${traceForm}" $id; default $paas_id; }
  map $paas_traceparent $paas_trace_flags {
    "" "00";
    "${traceForm.replace('[0-9a-f]{2}(', '[0-9a-f][159d](')}" "01";
    "${traceForm.replace('[0-9a-f]{2}(', '[0-9a-f][26ae](')}" "02";
    "${traceForm.replace('[0-9a-f]{2}(', '[0-9a-f][37bf](')}" "03";
    default "00";
  }
  map $paas_traceparent $paas_trace_state { "" ""; "${traceForm}" $http_tracestate; default ""; }
  map "$http_connection|$http_upgrade|$http_expect|$http_traceparent" $paas_odd {
    "|||" ""; "keep-alive|||" ""; "close|||" "";
    default 1;
  }
  map $http_x_request_id $paas_named { "" ""; default 1; }
  map "$http_upgrade$http_expect$http_traceparent" $paas_asked {
    "" "$http_connection|$paas_named|$host|$http_host";
    default "";
  }
  map $request_completion $paas_sent { OK $body_bytes_sent; default ""; }
  map $paas_proto $paas_insecure { http 1; default ""; }`;
}

/** What a trusted proxy said, else the router's own. Without the header, as for most, no expression is tried. */
const sentText = (header: string, name: string, form: string, own: string): string =>
  `  map $${header} $${name} { "" ${own}; default $${name}_sent; }
  map "$paas_trusted$${header}" $${name}_sent { "~^1${form}$" $1; default ${own}; }`;
