import { expect, it } from 'vitest';
import {
  eventually,
  exchange,
  freePort,
  fetchText,
  httpServer,
  rawClient,
  type TestServer,
} from '../../support/wire.ts';
import type { Bench } from '../router.suite.ts';

let apps = 0;

export function ejecting(bench: Bench): void {
  /** An app that answers what it is told to; `asked` counts. */
  async function answering(status: number) {
    const app = { status, asked: 0 };
    const server: TestServer = bench.cleanUp.add(
      await httpServer((_request, response) => {
        app.asked++;
        response.writeHead(app.status).end();
      }),
    );
    return Object.assign(app, { server });
  }
  const key = (): string => `e${++apps}`;
  const outlier = { failures: 3, ejectMs: 60_000 };
  /** To the end of the connection: a router notes what an answer was behind its last byte, and then closes. */
  const ask = async (name: string, times: number): Promise<number[]> => {
    const statuses: number[] = [];
    const request = `GET / HTTP/1.1\r\nHost: ${name}.test\r\nConnection: close\r\n\r\n`;
    for (let i = 0; i < times; i++) statuses.push(Number((await exchange(bench.port, request)).slice(9, 12)));
    return statuses;
  };
  const ejected = async (name: string) =>
    ((await bench.made.router.observe()).ejected ?? []).filter((instance) => instance.startsWith(`${name}-`));

  it('get no requests for a while', async () => {
    const [good, bad] = [await answering(200), await answering(503)];
    const name = key();
    await bench.serve({ [name]: { servers: [good.server, bad.server], settings: { outlier } } });
    while (bad.asked < 3) await ask(name, 1);
    expect(await ejected(name)).toEqual([`${name}-1`]);
    expect(await ask(name, 20)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(bad.asked).toBe(3);
  });

  it('come back after their time', async () => {
    const [good, bad] = [await answering(200), await answering(500)];
    const name = key();
    const settings = { outlier: { failures: 2, ejectMs: 200 } };
    await bench.serve({ [name]: { servers: [good.server, bad.server], settings } });
    while (bad.asked < 2) await ask(name, 1);
    bad.status = 200;
    await expect.poll(async () => (await ask(name, 1), bad.asked)).toBeGreaterThan(2);
    expect(await ejected(name)).toEqual([]);
  });

  it('are not made of failures with a success between them', async () => {
    const [good, flaky] = [await answering(200), await answering(500)];
    const name = key();
    await bench.serve({ [name]: { servers: [good.server, flaky.server], settings: { outlier } } });
    for (let round = 0; round < 4; round++) {
      for (const [status, times] of [
        [500, 2],
        [200, 1],
      ] as const) {
        // prettier-ignore
        flaky.status = status;
        const until = flaky.asked + times;
        while (flaky.asked < until) await ask(name, 1);
      }
    }
    expect(await ejected(name)).toEqual([]);
  });

  it('are at most half of an app, and never its only instance', async () => {
    const bad = [await answering(500), await answering(500), await answering(500)];
    const [three, alone] = [key(), key()];
    await bench.serve({
      [three]: { servers: bad.map(({ server }) => server), settings: { outlier } },
      [alone]: { servers: [bad[0]!.server], settings: { outlier } },
    });
    await ask(three, 40);
    await ask(alone, 10);
    expect(await ejected(three)).toHaveLength(1);
    expect(await ejected(alone)).toEqual([]);
    expect(await ask(alone, 1)).toEqual([500]);
  });

  it('come back at once when the others go', async () => {
    const [good, bad] = [await answering(200), await answering(500)];
    const name = key();
    await bench.serve({ [name]: { servers: [bad.server, good.server], settings: { outlier } } });
    while (bad.asked < 3) await ask(name, 1);
    expect(await ejected(name)).toEqual([`${name}-0`]);
    await bench.serve({ [name]: { servers: [bad.server], settings: { outlier } } });
    expect(await ejected(name)).toEqual([]);
    expect(await ask(name, 1)).toEqual([500]);
  });

  it('are those too that accept no connections', async () => {
    const good = await answering(200);
    const name = key();
    const servers = [good.server, { port: await freePort() }];
    await bench.serve({ [name]: { servers, settings: { outlier: { failures: 1, ejectMs: 60_000 } } } });
    await expect.poll(async () => (await ask(name, 5), await ejected(name))).toEqual([`${name}-1`]);
  });

  it('are counted among those of a version where versions run side by side', async () => {
    const [old, fresh] = [await answering(200), [await answering(500), await answering(500)]];
    const name = key();
    const gray = {
      releases: [2],
      rules: [{ release: 2, all: [{ kind: 'percent' as const, percent: 100 }] }],
    };
    const servers = [old.server, ...fresh.map(({ server }) => server)];
    await bench.serve({ [name]: { servers, releases: [1, 2, 2], gray, settings: { outlier } } });
    await ask(name, 30);
    expect(await ejected(name)).toHaveLength(1);
    expect(old.asked).toBe(0);
  });

  it('are none where it is turned off', async () => {
    const [good, bad] = [await answering(200), await answering(500)];
    const name = key();
    const settings = { outlier: { failures: 0, ejectMs: 60_000 } };
    await bench.serve({ [name]: { servers: [good.server, bad.server], settings } });
    while (bad.asked < 8) await ask(name, 1);
    expect(await ejected(name)).toEqual([]);
  });

  it.each([
    ['whose length is known', 'Content-Length: 8', ['0123', '4567']],
    ['of unknown length', 'Transfer-Encoding: chunked', ['4\r\n0123\r\n', '4\r\n4567\r\n0\r\n\r\n']],
  ] as const)('are none where a client pauses in the middle of a body %s', async (_, framing, [one, other]) => {
    const settings = { limits: { responseMs: 300 }, outlier: { failures: 1, ejectMs: 60_000 } };
    // Enough of them for every process of the router, and as many that are answered too late meanwhile.
    const many = Array.from({ length: 8 });
    /** @returns false: the app was held up for so long that the router may have given it up */
    const attempt = async (): Promise<boolean> => {
      const name = key();
      const hung = { answer: true };
      let answeredAt = 0;
      const server = bench.cleanUp.add(
        await httpServer((request, response) => {
          request.on('error', () => undefined).resume();
          request.on('end', () => {
            if (hung.answer) response.end('whole', () => (answeredAt = performance.now()));
          });
        }),
      );
      const never = bench.cleanUp.add(await httpServer(() => undefined));
      await bench.serve({
        [name]: { servers: [server, server], settings },
        [`${name}-never`]: { servers: [never], settings },
      });
      const head = `POST / HTTP/1.1\r\nHost: ${name}.test\r\n${framing}\r\n\r\n`;
      const clients = many.map(() => rawClient(bench.port));
      bench.cleanUp.add({ close: () => clients.forEach(({ socket }) => socket.destroy()) });
      const upload = async (): Promise<number> => {
        for (const client of clients) client.write(`${head}${one}`);
        for (let round = 0; round < 2; round++) {
          await Promise.all(many.map(() => fetchText(bench.url, { headers: { host: `${name}-never.test` } })));
        }
        const sentAt = performance.now();
        for (const client of clients) client.write(other);
        return sentAt;
      };
      const sentAt = await upload();
      const answers = await Promise.all(clients.map((client) => client.until(/whole| 504 /)));
      if (answeredAt - sentAt > 250) return false;
      for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      expect(await ejected(name)).toEqual([]);
      // Their time begins when the body is whole.
      hung.answer = false;
      await upload();
      for (const client of clients) expect(await client.until(/HTTP[^]*HTTP/)).toMatch(/HTTP\/1\.1 504 /);
      await expect.poll(() => ejected(name)).toHaveLength(1);
      return true;
    };
    await eventually('an app that is not held up', attempt);
  });
}
