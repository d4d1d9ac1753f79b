/** Debian's nginx and the modules that the driver needs of it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PaasError } from '../../shared/errors.ts';

export interface NginxProgram {
  nginx: string;
  /** Directory of the modules. */
  modules: string;
  /** It has the modules for TCP routes. */
  stream: boolean;
}

const binaries = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/sbin/nginx'];
const moduleDirectories = ['/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/usr/share/nginx/modules'];
const needed = ['ndk_http_module.so', 'ngx_http_lua_module.so'];
const forTcp = ['ngx_stream_module.so', 'ngx_stream_js_module.so'];
const tcpPackages = 'libnginx-mod-stream libnginx-mod-stream-js';
const install = `apt-get install --no-install-recommends nginx libnginx-mod-http-lua ${tcpPackages}`;

/** For RouterStatus. */
export const streamMissing = `TCP routes need nginx's modules stream and njs: \`apt-get install --no-install-recommends ${tcpPackages}\``;

/** @throws PaasError `tool_missing` that says what to install */
export function findNginx(): NginxProgram {
  const nginx = binaries.find((path) => existsSync(path));
  if (nginx === undefined) throw missing('nginx is not installed on this host');
  const modules = moduleDirectories.find((directory) => needed.every((name) => existsSync(join(directory, name))));
  if (modules === undefined) throw missing("nginx's Lua module is not installed on this host");
  return { nginx, modules, stream: forTcp.every((name) => existsSync(join(modules, name))) };
}

const missing = (what: string): PaasError =>
  new PaasError('tool_missing', `The router "nginx" cannot run: ${what}.`, { hint: `Install it: \`${install}\`.` });
