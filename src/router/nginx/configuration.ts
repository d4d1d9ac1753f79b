/**
 * nginx's configuration. It has nothing of routes, instances and rules: those come over the control socket. It changes
 * with listening ports and apps' own locations only.
 */
import { createHash } from 'node:crypto';
import { bracketed } from '../addresses.ts';
import { latencyBounds } from '../../shared/contracts/routes.ts';
import { firstPath } from './first-certificate.ts';
import { maxCounters, maxSlots, type NginxFiles } from './layout.ts';
import { luaLiteral } from './literal.ts';
import { sets } from './own-limits.ts';
import { grpcText, proxyText, settingsText } from './passing.ts';
import type { NginxProgram } from './programs.ts';
import { bodyLocation, usualBodies, type Location } from './shape.ts';
import { variablesText } from './variables.ts';

export interface NginxOptions {
  directory: string;
  files: NginxFiles;
  program: NginxProgram;
  address: string;
  port: number;
  /** Where to listen for TLS; absent while there is no certificate. */
  tlsPort: number | undefined;
  workers: number;
  /** Runs as root: workers keep the master's user, since the directory is closed to others. */
  root: boolean;
  epoch: string;
  responseMs: number;
  trustedProxies: readonly string[];
  /** Locations of apps' own. */
  locations: readonly Location[];
  /** Limits of request bodies that some apps have, beside the usual ones. */
  bodies: readonly number[];
  /** The `stream` block, or ''. */
  stream: string;
}

/** Where nginx goes with requests that it could not read: they have no path, which a named location would need. */
const faultPage = '/.paas/fault';

export interface Configuration {
  text: string;
  /** The module `paas.settings`. */
  settings: string;
  /** Fingerprint, by which a worker says what it runs with. */
  id: string;
}

export function makeConfiguration(options: NginxOptions): Configuration {
  const text = configurationText(options);
  const id = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return { text: `# ${id}\n${text}`, settings: settingsLua(options, id), id };
}

function settingsLua({ directory, workers, epoch, responseMs }: NginxOptions, configuration: string): string {
  // Room for old workers that still have connections behind several reloads.
  const columns = Math.max(16, 4 * workers);
  const sweepSeconds = Math.min(0.25, responseMs / 4000);
  const counts = { slots: maxSlots, releases: maxCounters, columns, latency: latencyBounds };
  return `return ${luaLiteral({ ...counts, directory, epoch, configuration, responseMs, sweepSeconds })}\n`;
}

/** In double quotes, as nginx reads them. */
const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;
const listenAt = (address: string, port: number): string => `${bracketed(address)}:${port}`;

function configurationText(options: NginxOptions): string {
  const { directory, files, program, workers, root } = options;
  return `${root ? 'user root;\n' : ''}worker_processes ${workers};
${root ? 'worker_rlimit_nofile 40000;\n' : ''}pid ${quoted(files.pid)};
error_log ${quoted(files.errors)} crit;
working_directory ${quoted(directory)};
worker_shutdown_timeout 1h;
pcre_jit on;
load_module ${program.modules}/ndk_http_module.so;
load_module ${program.modules}/ngx_http_lua_module.so;
${options.stream === '' ? '' : streamModules(program)}events {
  worker_connections 16384;
}
${options.stream}http {
${httpText(options)}
}
`;
}

const streamModules = ({ modules }: NginxProgram): string =>
  `load_module ${modules}/ngx_stream_module.so;\nload_module ${modules}/ngx_stream_js_module.so;\n`;

function httpText(options: NginxOptions): string {
  const { files, address, port, tlsPort, locations, bodies } = options;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${quoted(`${files.temporary}/${kind}`)};`,
  );
  return `${temporary.join('\n')}
  lua_package_path ${quoted(`${files.lua}/?.lua;/usr/share/lua/5.1/?.lua;;`)};
  lua_shared_dict paas 128m;
  lua_shared_dict paas_rates 16m;
  lua_max_running_timers 64;
  init_by_lua_block { require("paas.boot").master() }
  init_worker_by_lua_block { require("paas.boot").worker() }
  exit_worker_by_lua_block { require("paas.boot").ending() }
  access_log off;
  server_tokens off;
  default_type text/plain;
  tcp_nodelay on;
  keepalive_timeout 75s;
  keepalive_requests 1000000;
  client_header_timeout 20s;
  client_body_timeout 60s;
  send_timeout 300s;
  client_header_buffer_size 2k;
  large_client_header_buffers 4 16k;
  client_max_body_size 0;
  reset_timedout_connection off;
${variablesText(options.trustedProxies)}
${upstreamText('paas')}
${upstreamText('paas_h2c')}
  server {
    listen unix:${files.socket};
    client_body_buffer_size 128m;
    location / { content_by_lua_block { require("paas.admin").content() } }
  }
  server {
    listen ${listenAt(address, port)} reuseport deferred;
${tlsPort === undefined ? '' : tlsText(options, tlsPort)}${settingsText}    set $paas_upgrade "";
    set $paas_connection "";
    set $paas_traceparent "";
    set $paas_id "";
    set $paas_span "";
    error_page 413 =413 @page;
    error_page 400 405 408 414 417 501 505 ${faultPage};
    error_page 500 502 504 @page;
    error_page 494 =431 ${faultPage};
    log_by_lua_block { paas_answer.log() }
    location / {
      set_by_lua_block $paas_rare { return paas_route.begin() }
      if ($paas_rare) {
        lua_check_client_abort on;
        access_by_lua_block { require("paas.route").access() }
      }
${proxyText}
      proxy_pass http://paas;
    }
    location ^~ /.well-known/acme-challenge/ {
      access_by_lua_block { require("paas.rare").challenge() require("paas.route").access() }
${proxyText}
      proxy_pass http://paas;
    }
    location @closing {
      keepalive_timeout 0;
${proxyText}
      proxy_pass http://paas;
    }
    location @h2c {
      ${quietBodies}
${grpcText}
      grpc_pass grpc://paas_h2c;
    }
    location = ${faultPage} {
      internal;
      content_by_lua_block { require("paas.page").content() }
    }
    location @page { content_by_lua_block { require("paas.page").content() } }
    location @page_close {
      keepalive_timeout 0;
      content_by_lua_block { require("paas.page").content() }
    }
${[...usualBodies, ...bodies].map(bodyText).join('')}${locations.map(locationText).join('')}  }`;
}

/** The limit holds for bodies as they pass, whatever was said of their length. */
const bodyText = (most: number): string =>
  [false, true].map((h2c) => locationText({ name: bodyLocation(most, h2c), snippet: '', h2c, most })).join('');

/**
 * An app's own location: what it asks for, around the passing on that every app has. Begins with the snippet, which may
 * say otherwise where something is said for it.
 */
export function locationText({ name, snippet, h2c, most }: Omit<Location, 'app'>): string {
  const usual = [...(most === undefined ? [] : [`client_max_body_size ${most};`]), ...(h2c ? [quietBodies] : [])];
  const said = usual.filter((line) => !sets(snippet, line.split(' ', 1)[0]!)).map((line) => `      ${line}\n`);
  const pass = h2c ? `${grpcText}\n      grpc_pass grpc://paas_h2c;` : `${proxyText}\n      proxy_pass http://paas;`;
  return `    location ${name} {\n${snippet}\n${said.join('')}${pass}\n    }\n`;
}

/**
 * A gRPC call may be silent for long in either direction, and nginx does not know whether its answer has begun. Who is
 * slow on purpose holds a stream of an app's own, which has limits.
 */
const quietBodies = 'client_body_timeout 1h;';

const upstreamText = (name: string): string => `  upstream ${name} {
    server 0.0.0.1;
    balancer_by_lua_block { paas_route.balance() }
    keepalive 512;
    keepalive_requests 1000000;
    keepalive_timeout 800ms;
  }`;

function tlsText({ files, address }: NginxOptions, tlsPort: number): string {
  return `    listen ${listenAt(address, tlsPort)} ssl http2 reuseport deferred;
    ssl_certificate ${quoted(firstPath(files.tls))};
    ssl_certificate_key ${quoted(firstPath(files.tls))};
    ssl_certificate_by_lua_block { require("paas.tls").certificate() }
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:paas_tls:8m;
    ssl_session_tickets off;
`;
}
