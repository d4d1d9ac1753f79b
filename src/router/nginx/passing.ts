/** How requests are passed on to instances, over HTTP/1.1 and, without TLS, over HTTP/2. */

/** What goes to an instance, for each way of speaking to it. */
const headersText = (directive: string): string =>
  (
    [
      ['X-Forwarded-For', '$paas_forwarded_for'],
      ['X-Real-IP', '$paas_client'],
      ['X-Forwarded-Proto', '$paas_proto'],
      ['X-Forwarded-Host', '$paas_forwarded_host'],
      ['X-Forwarded-Port', '$paas_forwarded_port'],
      ['Forwarded', '$paas_forwarded'],
      ['X-Request-Id', '$paas_request_id'],
      ['traceparent', '"00-$paas_trace_id-$paas_span-$paas_trace_flags"'],
      ['tracestate', '$paas_trace_state'],
      ['Keep-Alive', '""'],
      ['Proxy-Connection', '""'],
      ['Proxy-Authorization', '""'],
      ['HTTP2-Settings', '""'],
      ['Expect', '""'],
    ] as const
  )
    .map(([name, value]) => `      ${directive} ${name} ${value};`)
    .join('\n');

/** Orders to nginx that an instance must not give. */
const ignored = {
  proxy: 'X-Accel-Expires X-Accel-Redirect X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset',
  grpc: 'X-Accel-Redirect X-Accel-Charset',
};

/** Longest pause between two reads of a response that has begun, or of a WebSocket. */
const idleMs = 24 * 3600 * 1000;

const commonSettings = (kind: 'proxy' | 'grpc'): string => `    ${kind}_connect_timeout 5s;
    ${kind}_send_timeout 60s;
    ${kind}_read_timeout ${idleMs}ms;
    ${kind}_next_upstream error timeout;
    ${kind}_socket_keepalive on;
    ${kind}_ignore_headers ${ignored[kind]};
    ${kind}_pass_header Server;
    ${kind}_pass_header Date;`;

/**
 * For the whole server, so that an app's own location may say otherwise; but whatever it buffers is in memory: a disk
 * that is full would be everybody's.
 */
export const settingsText = `${commonSettings('proxy')}
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_max_temp_file_size 0;
    proxy_buffer_size 32k;
    proxy_buffers 4 32k;
    proxy_redirect off;
${commonSettings('grpc')}
    grpc_buffer_size 32k;
`;

/** The answer's head is looked at in Lua. */
const answerText = `      add_header X-Request-Id $paas_answered_id always;
      header_filter_by_lua_block { paas_answer.header() }`;

/** What an instance is sent in HTTP/1.1. */
export const proxyHeaders = `      proxy_set_header Host $http_host;
      proxy_set_header Connection $paas_connection;
      proxy_set_header Upgrade $paas_upgrade;
      proxy_set_header TE "";
${headersText('proxy_set_header')}`;

/** For each location, since headers of a level hide those above it. */
export const proxyText = `${answerText}\n${proxyHeaders}`;

export const grpcText = `${answerText}
      grpc_set_header Host $http_host;
${headersText('grpc_set_header')}`;
