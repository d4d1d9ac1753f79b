/** Whether nginx takes a configuration of an app's own: tried in a directory of its own, beside no other app's. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PaasError } from '../../shared/errors.ts';
import type { RunProgram } from '../port.ts';
import { nginxFiles } from './layout.ts';
import { locationText } from './configuration.ts';
import { settingsText } from './passing.ts';
import { findNginx } from './programs.ts';

const testMs = 20_000;

/** @returns what nginx says, by line of the snippet (from 1); none: it takes it */
export async function trySnippet(
  snippet: string,
  run: RunProgram,
  h2c = false,
): Promise<{ line: number; message: string }[]> {
  const program = findNginx();
  let directory: string | undefined;
  try {
    directory = mkdtempSync(join(tmpdir(), 'paas-snippet-'));
    const files = nginxFiles(directory);
    mkdirSync(files.temporary, { recursive: true });
    const before = `pid ${files.pid};
error_log stderr emerg;
load_module ${program.modules}/ndk_http_module.so;
load_module ${program.modules}/ngx_http_lua_module.so;
events { }
http {
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${files.temporary};`).join('\n')}
  access_log off;
${variables.map((name) => `  geo $${name} { default ""; }`).join('\n')}
  upstream paas { server 127.0.0.1:9; }
  upstream paas_h2c { server 127.0.0.1:9; }
  server {
    listen unix:${files.socket};
${settingsText}`;
    const location = locationText({ name: '@own', snippet, h2c });
    writeFileSync(files.configuration, `${before}${location}  }\n}\n`, { mode: 0o600 });
    const { code, output } = await run(
      [program.nginx, '-t', '-q', '-p', directory, '-c', files.configuration, '-e', 'stderr'],
      { timeoutMs: testMs },
    );
    if (code === 0) return [];
    // The snippet begins behind the line that opens its location.
    const first = before.split('\n').length + 1;
    return read(output, files.configuration, first, snippet.split('\n').length);
  } catch (cause) {
    throw new PaasError('unavailable', 'nginx cannot be asked whether it takes this configuration.', { cause });
  } finally {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  }
}

/** Made by the router's own configuration, where a snippet may be read before it. */
const variables = [
  ...['paas_forwarded_for', 'paas_client', 'paas_proto', 'paas_forwarded_host', 'paas_forwarded_port'],
  ...['paas_forwarded', 'paas_request_id', 'paas_answered_id', 'paas_trace_id', 'paas_trace_flags'],
  ...['paas_trace_state', 'paas_span', 'paas_upgrade', 'paas_connection', 'paas_traceparent'],
];

function read(output: string, file: string, first: number, lines: number): { line: number; message: string }[] {
  const found = output.split('\n').flatMap((text) => {
    const [, message, line] = /\[(?:emerg|crit|alert)\] (?:\d+#\d+: )?(.*?)(?: in (?:\S+):(\d+))?$/.exec(text) ?? [];
    if (message === undefined) return [];
    // An open brace or quote is noticed behind the snippet's end.
    const at = Math.min(Math.max(1, Number(line ?? first) - first + 1), lines);
    return [{ line: at, message: message.replaceAll(file, 'the snippet') }];
  });
  return found.length > 0 ? found : [{ line: 1, message: 'nginx refuses it without a reason' }];
}
