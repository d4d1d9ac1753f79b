import type { ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Client, streamEvents, streamLines } from '../../../../src/cli/client/index.ts';
import { EventParser } from '../../../../src/cli/client/sse.ts';
import { PaasError } from '../../../../src/shared/errors.ts';
import { credentials, hangUp, json, startPlatform, type FakePlatform, type Seen } from './platform.ts';

let platform: FakePlatform;
let client: Client;
beforeEach(async () => {
  platform = await startPlatform(json({}));
  client = new Client({ url: platform.url, ...credentials });
});
afterEach(async () => {
  client.close();
  await platform.stop();
});

async function events(options: Parameters<typeof streamEvents>[2] = {}): Promise<string[]> {
  const found: string[] = [];
  for await (const { event, data, id } of streamEvents(client, '/v1/s', options)) found.push(`${id} ${event} ${data}`);
  return found;
}

async function lines(options: Parameters<typeof streamLines>[2] = {}): Promise<string[]> {
  const found: string[] = [];
  for await (const batch of streamLines(client, '/v1/logs', options)) found.push(...batch);
  return found;
}

describe('the event parser', () => {
  const stream =
    ': hi\nid: 1\nevent: a\ndata: one\ndata:two\n\r\nretry: 20\r\ndata\rdata: x: y\r\rid\n\nid: é\ndata: ü\n\n';
  const expected = [
    { id: '1', event: 'a', data: 'one\ntwo' },
    { id: '1', event: 'message', data: '\nx: y' },
    { id: 'é', event: 'message', data: 'ü' },
  ];

  it('reads the same however the bytes are cut', () => {
    const bytes = Buffer.from(stream);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        const parser = new EventParser();
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const found = places.slice(1).flatMap((to, i) => parser.push(bytes.subarray(places[i], to)));
        expect(found).toEqual(expected);
        expect(parser.retryMs).toBe(20);
      }),
    );
  });
});

describe('server-sent events', () => {
  it('go on after the last id when the connection breaks, and end with `end`', async () => {
    platform.handle(({ headers }, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      if (headers['last-event-id'] === undefined) {
        response.write('id: 1\ndata: a\n\nid: 2\ndata: b\n\ndata: unfinis', () => response.destroy());
      } else
        response.end(
          `id: 3\ndata: after ${String(headers['last-event-id'])}\n\nevent: end\ndata: {}\n\ndata: never\n\n`,
        );
    });
    const reasons: string[] = [];
    expect(await events({ query: { n: 1 }, onReconnect: (reason) => reasons.push(reason) })).toEqual([
      '1 message a',
      '2 message b',
      '3 message after 2',
      '3 end {}',
    ]);
    expect(reasons).toHaveLength(1);
    expect(platform.seen.map(({ url }) => url)).toEqual(['/v1/s?n=1', '/v1/s?n=1']);
  });

  it('survive a restart of the platform', async () => {
    platform.handle((_seen, response) => {
      response.writeHead(200).write('id: 1\ndata: before\n\n', () => {
        const { port } = platform;
        void platform.stop().then(async () => {
          platform = await startPlatform((_again, answer) => answer.end('event: end\ndata: after\n\n'), port);
        });
      });
    });
    expect(await events()).toEqual(['1 message before', '1 end after']);
  });

  it('fail at once when they are refused, also after a reconnection', async () => {
    platform.handle(json({ error: new PaasError('not_found', 'no such deployment') }, 404));
    await expect(events()).rejects.toMatchObject({ code: 'not_found' });
    const answers = [
      (response: ServerResponse) => response.end('data: 1\n\n'),
      (response: ServerResponse) =>
        response.writeHead(403).end(JSON.stringify({ error: new PaasError('not_allowed', 'revoked') })),
    ];
    platform.handle((_seen, response) => answers.shift()!(response));
    await expect(events()).rejects.toMatchObject({ code: 'not_allowed' });
    await platform.stop();
    await expect(events()).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('of something that has begun are tried again from the first connection on', async () => {
    const answers = [hangUp, (_seen: Seen, response: ServerResponse) => response.end('event: end\ndata: 1\n\n')];
    platform.handle((seen, response) => {
      answers.shift()!(seen, response);
    });
    expect(await events({ hasBegun: true })).toEqual([' end 1']);
  });

  it('give up when the platform does not come back', async () => {
    platform.handle((_seen, response) => response.end('data: 1\n\n'));
    await expect(events({ patienceMs: 0 })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('end with `interrupted` when the user aborts', async () => {
    platform.handle((_seen, response) => response.writeHead(200).write('data: 1\n\n'));
    const interrupt = new AbortController();
    const reading = (async () => {
      for await (const _ of streamEvents(client, '/v1/s', { signal: interrupt.signal })) interrupt.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'interrupted' });
  });
});

describe('a platform that is silent', () => {
  const limits = { maxSilenceMs: 200, patienceMs: 0 };
  const noAnswer = { code: 'unavailable', message: 'the platform did not begin to answer within 0.2 s' };
  // Silence lasts as long as the test says, however slow the machine is.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it('is given up when it accepts and does not answer', async () => {
    platform.handle(() => void vi.advanceTimersByTime(200));
    await expect(events(limits)).rejects.toMatchObject(noAnswer);
    await expect(lines(limits)).rejects.toMatchObject(noAnswer);
    await expect(lines({ ...limits, follow: true })).rejects.toMatchObject(noAnswer);
  });

  it('is given up when nothing comes after the begin of its answer', async () => {
    const silent = { code: 'unavailable', message: expect.stringContaining('nothing came for 0.2 s') as string };
    const begun = async (stream: AsyncGenerator, text: string): Promise<void> => {
      platform.handle((_seen, response) => response.writeHead(200).write(text));
      expect((await stream.next()).done).toBe(false);
      const next = expect(stream.next()).rejects.toMatchObject(silent);
      await turn();
      vi.advanceTimersByTime(200);
      await next;
    };
    await begun(streamLines(client, '/v1/logs', limits), '{"line":"one"}\n');
    await begun(streamEvents(client, '/v1/s', limits), 'data: one\n\n');
  });

  it('is not what comes of a stop of this program itself: what came meanwhile is read', async () => {
    const text = '{"line":"one"}\n';
    let more = (): unknown => undefined;
    platform.handle((_seen, response) => {
      response.writeHead(200).write(text);
      more = () => response.end(text, () => void vi.advanceTimersByTime(200));
    });
    const stream = streamLines(client, '/v1/logs', limits);
    await stream.next();
    const next = stream.next();
    await turn();
    more();
    expect((await next).value).toHaveLength(1);
  });

  it('is not what a reader makes of it who takes long', async () => {
    const many = '{"line":"one"}\n'.repeat(300_000);
    platform.handle((_seen, response) => response.end(many));
    let count = 0;
    for await (const batch of streamLines(client, '/v1/logs', limits)) {
      if (count === 0) vi.advanceTimersByTime(400);
      count += batch.length;
    }
    expect(count).toBe(300_000);
  });
});

describe('lines', () => {
  it('come whole however they are cut', async () => {
    platform.handle((_seen, response) => {
      response.write('{"line":"one"}\n{"li');
      setImmediate(() => response.end('ne":"twö"}\n'));
    });
    expect(await lines()).toEqual(['{"line":"one"}', '{"line":"twö"}']);
  });

  it('throw the error that the stream carries, and one when it breaks', async () => {
    platform.handle((_seen, response) => {
      response.end(`{"line":"one"}\n${JSON.stringify({ error: new PaasError('corrupt', 'damaged') })}\n`);
    });
    await expect(lines()).rejects.toMatchObject({ code: 'corrupt' });
    platform.handle((_seen, response) => response.write('{"line":"one"}\n', () => response.destroy()));
    await expect(lines()).rejects.toMatchObject({ code: 'unavailable' });
    expect(platform.seen).toHaveLength(2);
  });

  const line = (seq: number, ts = 'T1'): string => `{"ts":"${ts}","seq":${seq},"line":"same"}`;

  /** The numbers of `count` lines that are followed over answers, each of which breaks off but the last. */
  async function followed(count: number, answers: ((response: ServerResponse) => void)[]): Promise<number[]> {
    platform.handle((_seen, response) => answers.shift()!(response));
    const end = new AbortController();
    const found: number[] = [];
    try {
      for await (const batch of streamLines(client, '/v1/logs', {
        query: { n: 5 },
        follow: true,
        signal: end.signal,
      })) {
        found.push(...batch.map((text) => (JSON.parse(text) as { seq: number }).seq));
        if (found.length >= count) end.abort();
      }
    } catch (error) {
      expect(error).toMatchObject({ code: 'interrupted' });
    }
    return found;
  }

  it('that came before a cursor and lie after it are not handed out again', async () => {
    const found = await followed(5, [
      (response) => response.write(`${line(1)}\n${line(2)}\n{"cursor":"c1","after":1}\n`, () => response.destroy()),
      (response) => response.write(`${line(2)}\n${line(3)}\n{"cursor":"c2","after":2}\n`, () => response.destroy()),
      // The first line is another one that looks the same: its instance began anew.
      (response) => response.write(`${line(2, 'T2')}\n${line(3)}\n${line(1)}\n{"cursor":"c3"}\n${line(3)}\n`),
    ]);
    expect(found).toEqual([1, 2, 3, 1, 3]);
  });

  it('are followed again when the platform says that it cannot show them now, but not for ever', async () => {
    const busy = `${JSON.stringify({ error: new PaasError('unavailable', '4 searches are under way') })}\n`;
    const found = await followed(2, [
      (response) => response.write(`${line(1)}\n{"cursor":"c1"}\n`, () => response.destroy()),
      (response) => response.end(busy),
      (response) => response.write(`${line(2)}\n`),
    ]);
    expect(found).toEqual([1, 2]);
    platform.handle((_seen, response) => response.end(busy));
    await expect(lines({ follow: true, patienceMs: 300 })).rejects.toMatchObject({
      code: 'unavailable',
      message: '4 searches are under way',
    });
    await expect(lines()).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('are followed over reconnections without loss or doubling', async () => {
    const found = await followed(6, [
      (response) =>
        response.write(`${line(1)}\n{"cursor":"c1"}\n${line(2)}\n${line(3)}\n{"ts`, () => response.destroy()),
      // What came after the cursor comes again, with another time, and in another order with what is new.
      (response) =>
        response.write(`${line(2, 'T2')}\n${line(4)}\n${line(3)}\n{"cursor":"c2"}\n`, () => response.destroy()),
      (response) => response.write(`${line(4)}\n${line(5)}\n`),
    ]);
    // After the cursor c2 the fourth line is another one that looks the same.
    expect(found).toEqual([1, 2, 3, 4, 4, 5]);
    expect(platform.seen.map(({ url }) => url)).toEqual([
      '/v1/logs?n=5&follow=1',
      '/v1/logs?n=5&follow=1&cursor=c1',
      '/v1/logs?n=5&follow=1&cursor=c2',
    ]);
  });
});
