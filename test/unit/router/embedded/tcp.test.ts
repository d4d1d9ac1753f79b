import { afterEach, expect, it } from 'vitest';
import { Endpoints } from '../../../../src/router/embedded/endpoints.ts';
import { TcpRoutes } from '../../../../src/router/embedded/tcp.ts';
import { CleanUp } from '../../../conformance/router/support.ts';
import { eventually, freePort, rawClient, tcpServer } from '../../../support/wire.ts';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

it('lets a connection wait while an instance has as many as it may', async () => {
  const app = cleanUp.add(await tcpServer((socket) => void socket.pipe(socket)));
  const endpoints = new Endpoints();
  const backend = {
    ...{ app: 'p/e/a', appId: 'a', state: 'serving' as const, limits: { concurrency: 1, queue: 1, queueMs: 60_000 } },
    endpoints: [{ instance: 'i', name: 'service.1', release: 1, address: '127.0.0.1', port: app.port }],
  };
  endpoints.update({ backends: { a: backend } });
  const routes = new TcpRoutes('127.0.0.1', endpoints);
  cleanUp.add({ close: () => routes.close(0) });
  const port = await freePort();
  await routes.update([{ port, backend: 'a' }]);

  const open = () => {
    const client = rawClient(port);
    cleanUp.add({ close: () => client.socket.destroy() });
    client.write('hello');
    return client;
  };
  const first = open();
  await first.until(/hello/);
  const second = open();
  const line = endpoints.backend('a')!.limits!.line!;
  await eventually('the second to wait', () => line.length === 1);
  expect(await open().ended()).toBe('');
  expect(second.received).toBe('');
  first.socket.end();
  await second.until(/hello/);
  expect(app.connections()).toBe(2);
});
