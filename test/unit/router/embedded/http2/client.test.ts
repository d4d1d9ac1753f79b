import { connect } from 'node:http2';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { defaultLimits, type HttpContext } from '../../../../../src/router/embedded/http/context.ts';
import { Http2Connections } from '../../../../../src/router/embedded/http2/connections.ts';

it('is known to stall when it opens no window for the rest of its answer', async () => {
  const context: HttpContext = {
    limits: defaultLimits,
    clients: new Set(),
    upstreams: new Set(),
    tunnels: new Set(),
    stopping: false,
    version: () => 1,
    route: () => null,
    backend: () => null,
    challenges: null,
    isTrusted: () => false,
    tlsPort: () => null,
    acceptHttp2: () => undefined,
    log: () => undefined,
  };
  const connections = new Http2Connections(context);
  const server = createServer((socket) => connections.accept(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => undefined);
  const stream = session.request({ ':authority': 'nobody.test' });
  stream.on('error', () => undefined);
  await once(stream, 'response');
  const stalled = () => [...context.clients].filter(({ stalledSince }) => stalledSince > 0);
  await expect.poll(() => stalled().length).toBe(1);
  // What the sweep does with it.
  stalled()[0]!.destroy();
  await expect.poll(() => [context.clients.size, stream.destroyed]).toEqual([1, true]);
  session.destroy();
  await expect.poll(() => context.clients.size).toBe(0);
  server.close();
});
