import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, it, vi } from 'vitest';
import { closing, inherit, listeners, listening } from '../../../../src/router/embedded/listening.ts';

it('hands on who came meanwhile, and survives who went', async () => {
  const before = createServer();
  before.listen(0, '127.0.0.1');
  await once(before, 'listening');
  const { port } = before.address() as AddressInfo;
  inherit(`127.0.0.1 ${port}`, before);
  const come = async (): Promise<[Socket, Socket]> => {
    const accepted = once(before, 'connection') as Promise<[Socket]>;
    const client = connect(port, '127.0.0.1');
    client.on('error', () => undefined);
    return [client, (await accepted)[0]];
  };
  const [gone, itsEnd] = await come();
  const [stays] = await come();
  const closed = new Promise((resolve) => itsEnd.once('close', resolve));
  gone.resetAndDestroy();
  await closed;
  const served: Socket[] = [];
  const after = createServer((socket) => served.push(socket));
  await listening(after, '127.0.0.1', port);
  expect(served).toHaveLength(1);
  served[0]!.end('hello');
  const [greeting] = (await once(stays, 'data')) as [Buffer];
  expect(greeting.toString()).toBe('hello');
  stays.destroy();
  await closing(after);
});

it('survives that the system refuses a connection, before and after somebody listens with a socket', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockReturnValue();
  const before = createServer();
  before.listen(0, '127.0.0.1');
  await once(before, 'listening');
  const { port } = before.address() as AddressInfo;
  inherit(`127.0.0.1 ${port}`, before);
  before.emit('error', new Error('accept ENFILE'));
  const server = createServer();
  await listening(server, '127.0.0.1', port);
  server.emit('error', new Error('accept ENOBUFS'));
  expect(warned.mock.calls.map(([what]) => what)).toEqual([
    expect.stringContaining('accept ENFILE'),
    expect.stringContaining('accept ENOBUFS'),
  ]);
  warned.mockRestore();
  await closing(server);
});

it('offers nothing that is closed, though connections of it are still open', async () => {
  const server = createServer();
  await listening(server, '127.0.0.1', 0);
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = connect(port, '127.0.0.1');
  await accepted;
  const names = () => [...listeners()].map(([name]) => name);
  expect(names()).toContain(`127.0.0.1 ${port}`);
  const closed = closing(server);
  expect(names()).not.toContain(`127.0.0.1 ${port}`);
  client.destroy();
  await closed;
});
