/** Apps' own nginx configuration that sends requests through their location again. */
import { afterEach, expect, it } from 'vitest';
import { callSocket } from '../../src/router/control-socket.ts';
import { checkSnippet } from '../../src/shared/nginx/snippet.ts';
import { settledNginx } from '../support/nginx-processes.ts';
import { fetchText, httpServer, rawClient } from '../support/wire.ts';
import { startNginx } from './router/own-nginx.ts';
import { CleanUp, portOf, tableOf } from './router/support.ts';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

it("shows a page of the app's own instead of its error, and has the request open at one instance only", async () => {
  const snippet = 'proxy_intercept_errors on;\nerror_page 404 =200 /sorry;';
  expect(checkSnippet(snippet, { allowLua: false })).toEqual([]);
  const { router } = await startNginx(cleanUp);
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

it("charges no instance with what the app's own configuration answers", async () => {
  const snippet = 'if ($http_user_agent ~ bot) { return 503; }\nif ($http_user_agent ~ bad) { return 502; }';
  expect(checkSnippet(snippet, { allowLua: false })).toEqual([]);
  const { router } = await startNginx(cleanUp);
  const asked: string[] = [];
  const server = cleanUp.add(
    await httpServer((request, response) => {
      asked.push(request.headers['user-agent'] ?? '');
      response.end('here');
    }),
  );
  const settings = { outlier: { failures: 2, ejectMs: 60_000 } };
  const table = tableOf({ own: { servers: [server, server], settings } });
  table.backends.own!.nginx = snippet;
  const { url } = await router.apply(table);
  const get = async (agent: string): Promise<number> =>
    (await fetchText(url, { headers: { host: 'own.test', 'user-agent': agent } })).status;
  for (let i = 0; i < 8; i++) {
    expect(await get('bot')).toBe(503);
    expect(await get('bad')).toBe(502);
  }
  expect(await get('person')).toBe(200);
  // Its end is noted behind its answer.
  await expect.poll(async () => (await router.observe()).open).toEqual({});
  expect((await router.observe()).ejected ?? []).toEqual([]);
  expect(asked).toEqual(['person']);
  await expect
    .poll(async () => (await router.traffic()).counts.map(({ classes }) => classes))
    .toEqual([[0, 1, 0, 0, 0]]);
});

it("ends connections with a response before a reload, also where an app's own configuration answers", async () => {
  const { router, files, directory } = await startNginx(cleanUp);
  const server = cleanUp.add(await httpServer((request, response) => void request.pipe(response)));
  const names = ['own', 'refusing'];
  const table = tableOf(Object.fromEntries(names.map((name) => [name, { servers: [server] }])));
  table.backends.own!.nginx = 'add_header X-Own "yes";';
  table.backends.refusing!.nginx = 'deny all;';
  const { url } = await router.apply(table);
  // A worker that begins later would be one of those behind the reload.
  await settledNginx(directory);
  const post = async (name: string) => {
    const client = rawClient(portOf(url));
    client.write(`POST / HTTP/1.1\r\nHost: ${name}.test\r\nContent-Length: 5\r\n\r\nwhole`);
    const head = await client.until(/\r\n\r\n[^]+/);
    client.socket.destroy();
    return head;
  };
  expect(await post('own')).toMatch(/^HTTP\/1\.1 200 [^]*Connection: keep-alive\r\n[^]*X-Own: yes\r\n[^]*whole/);
  await callSocket(files.socket, 'PUT /closing');
  expect(await post('own')).toMatch(/^HTTP\/1\.1 200 [^]*Connection: close\r\n[^]*X-Own: yes\r\n[^]*whole/);
  expect(await post('refusing')).toMatch(/^HTTP\/1\.1 403 [^]*Connection: close\r\n/);
  expect(await post('nobody')).toMatch(/^HTTP\/1\.1 404 [^]*Connection: close\r\n/);
});
