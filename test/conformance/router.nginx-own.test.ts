/** Apps' own nginx configuration that sends requests through their location again. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { runProgram, spawnDetached } from '../../src/agent/steps/detached.ts';
import { createRouter } from '../../src/router/registry.ts';
import { checkSnippet } from '../../src/shared/nginx/snippet.ts';
import { listProcesses, sendSignal } from '../../src/shared/processes.ts';
import { fetchText, httpServer } from '../support/wire.ts';
import { CleanUp, tableOf } from './router/support.ts';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

async function startNginx() {
  const directory = mkdtempSync(join(tmpdir(), 'paas-nginx-'));
  const made = { directory, address: '127.0.0.1', port: 0, program: [], spawnDetached, run: runProgram };
  const router = createRouter('nginx', made);
  await router.start();
  const master = Number(readFileSync(join(directory, 'nginx.pid'), 'utf8'));
  cleanUp.add({
    close: () => {
      for (const { pid, ppid } of listProcesses()) if (pid === master || ppid === master) sendSignal(pid, 'SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  });
  return router;
}

it("shows a page of the app's own instead of its error, and has the request open at one instance only", async () => {
  const snippet = 'proxy_intercept_errors on;\nerror_page 404 =200 /sorry;';
  expect(checkSnippet(snippet, { allowLua: false })).toEqual([]);
  const router = await startNginx();
  const server = cleanUp.add(
    await httpServer((request, response) => {
      response.statusCode = request.url === '/sorry' ? 200 : 404;
      response.end(`here is ${request.url ?? ''}`);
    }),
  );
  const table = tableOf({ own: { servers: [server], settings: { limits: { concurrency: 2 } } } });
  table.backends.own!.nginx = snippet;
  const { url, problems } = await router.apply(table);
  expect(problems).toEqual([]);
  for (let i = 0; i < 5; i++) {
    const answer = await fetchText(`${url}/missing`, { headers: { host: 'own.test' } });
    expect(answer).toMatchObject({ status: 200, body: 'here is /sorry' });
  }
  await expect.poll(async () => (await router.observe()).open).toEqual({});
});
