import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { closing, inherit, listening } from '../../../../src/router/embedded/listening.ts';

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
