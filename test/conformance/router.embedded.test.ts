import { once } from 'node:events';
import { constants } from 'node:http2';
import { chmodSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { RouterConfig } from '../../src/router/port.ts';
import { createRouter } from '../../src/router/registry.ts';
import { lockHolder } from '../../src/shared/lock-file.ts';
import { isAlive } from '../../src/shared/processes.ts';
import { answerOf, ask, http2Client, http2Server } from '../support/http2.ts';
import { eventually, fetchText, freePort, httpServer, rawClient, tcpServer } from '../support/wire.ts';
import { routerConformance } from './router.suite.ts';
import { configured, make } from './router/embedded.ts';
import { CleanUp, tableOf, type MakeOptions } from './router/support.ts';

routerConformance('embedded', make);

describe('the embedded router process', () => {
  const cleanUp = new CleanUp();
  afterEach(() => cleanUp.run());
  const running = async (options?: MakeOptions) => {
    const made = await make(options);
    cleanUp.add({ close: () => made.dispose() });
    return made;
  };
  const mode = (path: string) => statSync(path).mode & 0o777;

  it('keeps its files to itself', async () => {
    const { directory, router } = await running();
    await router.apply(tableOf({}));
    expect(mode(directory)).toBe(0o700);
    for (const name of ['admin.sock', 'table.json', 'running.json', 'router.out'])
      expect(mode(join(directory, name))).toBe(0o600);
  });

  it('speaks HTTP/2 without TLS to clients that know it', async () => {
    const { router } = await running();
    const app = cleanUp.add(await httpServer((request, response) => void request.pipe(response)));
    const { url } = await router.apply(tableOf({ k: { servers: [app] } }));
    const session = await http2Client(url);
    cleanUp.add({ close: () => session.destroy() });
    const answer = await ask(session, { ':authority': 'k.test', ':method': 'POST' }, 'plain');
    expect([answer.status, answer.body.toString()]).toEqual([200, 'plain']);
    const kept = once(session, 'close');
    await router.stop();
    await kept;
  });

  it('lets streams of HTTP/2 end before it stops', async () => {
    const { router } = await running();
    let finish = (): void => undefined;
    const app = cleanUp.add(
      await httpServer((_request, response) => {
        response.write('first');
        finish = () => response.end(' last');
      }),
    );
    const { url } = await router.apply(tableOf({ k: { servers: [app] } }));
    const session = await http2Client(url);
    cleanUp.add({ close: () => session.destroy() });
    const stream = session.request({ ':authority': 'k.test' });
    const answer = answerOf(stream);
    await once(stream, 'data');
    const goaway = once(session, 'goaway');
    const stopped = router.stop();
    await goaway;
    finish();
    expect((await answer).body.toString()).toBe('first last');
    await stopped;
  });

  it('sends a request again that an instance of HTTP/2 gave back unprocessed', async () => {
    const { router } = await running();
    let calls = 0;
    const app = cleanUp.add(
      await http2Server((stream) => {
        if (++calls === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
        else stream.respond({ ':status': 200 }, { endStream: true });
      }),
    );
    const { url } = await router.apply(tableOf({ k: { servers: [app], protocol: 'h2c' } }));
    const headers = { host: 'k.test' };
    expect((await fetchText(url, { headers })).status).toBe(200);
    calls = 0;
    // Some of its body may be gone.
    expect((await fetchText(url, { headers, method: 'POST', body: 'x' })).status).toBe(502);
  });

  it('tells no length of its own where an answer of HTTP/2 has none', async () => {
    const { router } = await running();
    const app = cleanUp.add(
      await http2Server((stream, { ':path': path }) => {
        stream.respond({ ':status': Number(path?.slice(1)) }, { endStream: true });
      }),
    );
    const { url } = await router.apply(tableOf({ k: { servers: [app], protocol: 'h2c' } }));
    const session = await http2Client(url);
    cleanUp.add({ close: () => session.destroy() });
    for (const [method, path] of [
      ['HEAD', '/200'],
      ['GET', '/304'],
      ['GET', '/204'],
    ] as const) {
      const streamed = await ask(session, { ':authority': 'k.test', ':method': method, ':path': path });
      const plain = await fetchText(`${url}${path}`, { method, headers: { host: 'k.test' } });
      for (const { headers, status } of [streamed, plain])
        expect([status, headers['content-length']]).toEqual([Number(path.slice(1)), undefined]);
    }
  });

  it('ends a connection whose client resets stream after stream', async () => {
    const { router } = await running();
    const app = cleanUp.add(await httpServer((request, response) => void request.pipe(response)));
    const { url } = await router.apply(tableOf({ k: { servers: [app] } }));
    const session = await http2Client(url);
    cleanUp.add({ close: () => session.destroy() });
    const gone = (): boolean => session.closed || session.destroyed;
    const resetOne = (): Promise<unknown> => {
      if (gone()) return Promise.resolve();
      const stream = session.request({ ':authority': 'k.test', ':method': 'POST' });
      stream.on('error', () => undefined);
      setImmediate(() => stream.close(constants.NGHTTP2_CANCEL));
      return new Promise((resolve) => stream.once('close', resolve));
    };
    const storm = async (): Promise<boolean> => {
      await Promise.all(Array.from({ length: 50 }, resetOne));
      return gone();
    };
    await expect.poll(storm, { interval: 0, timeout: 30_000 }).toBe(true);
    await expect.poll(async () => (await router.observe()).open).toEqual({});
  });

  it('lets connections of TCP that wait for an instance go on waiting when it is restarted', async () => {
    const made = await running();
    const app = cleanUp.add(await tcpServer((socket) => void socket.pipe(socket)));
    const port = await freePort();
    const settings = { limits: { concurrency: 1, queue: 1, queueMs: 60_000 } };
    await made.router.apply(tableOf({ t: { servers: [app], routes: [], tcp: [port], settings } }));
    const [first, second] = [rawClient(port), rawClient(port)];
    for (const { socket } of [first, second]) cleanUp.add({ close: () => socket.destroy() });
    first.write('one');
    await first.until(/one$/);
    second.write('two');
    await made.restart();
    first.socket.destroy();
    await second.until(/two$/);
  });

  it('starts without a table when the one on disk is damaged, and says so', async () => {
    const made = await running();
    await made.router.apply(tableOf({}));
    await made.kill();
    truncateSync(join(made.directory, 'table.json'), 10);
    const status = await made.router.start();
    expect(status).toMatchObject({ version: 0, problems: [expect.stringContaining('table.json is damaged')] });
    expect((await made.router.apply(tableOf({}))).problems).toEqual([]);
  });

  it('is replaced when it was started with other settings', async () => {
    const made = await running();
    const app = cleanUp.add(await httpServer((_request, response) => response.end('ok')));
    const { url, version } = await made.router.apply(tableOf({ k: { servers: [app] } }));
    const before = lockHolder(join(made.directory, 'router.lock'))!;
    const other = createRouter('embedded', await configured({ responseTimeoutMs: 5000 }, made.directory));
    expect(await other.start()).toMatchObject({ url, version });
    // It ends with the last of its connections, if any.
    await eventually('the one before to end', () => !isAlive(before));
  });

  it('refuses a directory whose control socket would have too long a path', async () => {
    const config = await configured({}, join(tmpdir(), 'x'.repeat(100)));
    await expect(createRouter('embedded', config).start()).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('says why when the program ends at once', async () => {
    const { directory } = await running();
    chmodSync(directory, 0o700);
    const config = {
      ...(await configured({}, join(directory, 'r'))),
      program: [process.execPath, '-e', 'process.exit(3)', '--'],
    };
    await expect(createRouter('embedded', config).start()).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('knows no other driver by name', () => {
    expect(() => createRouter('toString', {} as RouterConfig)).toThrow(/no router driver/);
  });
});
