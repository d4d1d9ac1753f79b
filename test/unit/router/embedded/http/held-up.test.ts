import type { Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { CleanUp } from '../../../../conformance/router/support.ts';
import { fetchText, tcpServer } from '../../../../support/wire.ts';
import { frontTo } from './front.ts';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

it('takes an answer that came in time, however late it gets round to it', async () => {
  let asked: ((socket: Socket) => void) | undefined;
  const instance = new Promise<Socket>((resolve) => (asked = resolve));
  const app = cleanUp.add(await tcpServer((socket) => socket.once('data', () => asked?.(socket))));
  const front = cleanUp.add(await frontTo(app.port, { responseMs: 60_000 }));
  const answer = fetchText(`http://127.0.0.1:${front.port}`, { headers: { host: 'a' } });
  const socket = await instance;
  // The answer is with the system, and then nothing in this process moves until its time and a sweep are over.
  for (const upstream of front.context.upstreams) Object.assign(upstream, { deadline: Date.now() + 100 });
  socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  expect(await answer).toMatchObject({ status: 200, body: 'ok' });
});
