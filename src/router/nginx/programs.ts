/** Debian's nginx and the modules that the driver needs of it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PaasError } from '../../shared/errors.ts';

export interface NginxProgram {
  nginx: string;
  /** Directory of the modules. */
  modules: string;
  stream: boolean;
}

const binaries = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/sbin/nginx'];
const moduleDirectories = ['/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/usr/share/nginx/modules'];
const needed = ['ndk_http_module.so', 'ngx_http_lua_module.so'];
const install = 'apt-get install --no-install-recommends nginx libnginx-mod-http-lua libnginx-mod-stream';

/** @throws PaasError `tool_missing` that says what to install */
export function findNginx(): NginxProgram {
  const nginx = binaries.find((path) => existsSync(path));
  if (nginx === undefined) throw missing('nginx is not installed on this host');
  const modules = moduleDirectories.find((directory) => needed.every((name) => existsSync(join(directory, name))));
  if (modules === undefined) throw missing("nginx's Lua module is not installed on this host");
  return { nginx, modules, stream: existsSync(join(modules, 'ngx_stream_module.so')) };
}

const missing = (what: string): PaasError =>
  new PaasError('tool_missing', `The router "nginx" cannot run: ${what}.`, { hint: `Install it: \`${install}\`.` });
