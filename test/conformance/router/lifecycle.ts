import { afterEach, expect, it } from 'vitest';
import { eventually, fetchText, httpServer, rawClient, tcpServer } from '../../support/wire.ts';
import { CleanUp, portOf, tableOf, type MakeOptions, type MakeRouter } from './support.ts';

export function lifecycle(make: MakeRouter): void {
  const cleanUp = new CleanUp();
  afterEach(() => cleanUp.run());
  const running = async (options?: MakeOptions) => {
    const made = await make(options);
    cleanUp.add({ close: () => made.dispose() });
    return made;
  };
  const app = async (text: string) => cleanUp.add(await httpServer((_request, response) => response.end(text)));

  it('serves the last table from its disk after kill -9, on the same port', async () => {
    const made = await running();
    const table = tableOf({ k: { servers: [await app('kept')] } });
    let { url } = await made.router.apply(table);
    // Once may not do: somebody else may have taken the port meanwhile.
    await eventually('the same port', async () => {
      const before = url;
      await made.kill();
      await expect(made.router.observe()).rejects.toMatchObject({ code: 'unavailable' });
      const status = await made.router.start();
      expect(status).toMatchObject({ version: table.version });
      ({ url } = status);
      return url === before;
    });
    expect((await fetchText(url, { headers: { host: 'k.test' } })).body).toBe('kept');
  });

  it('is started by apply when it does not run', async () => {
    const made = await running();
    await made.kill();
    const { url, version } = await made.router.apply(tableOf({ k: { servers: [await app('up')] } }));
    expect(version).toBeGreaterThan(0);
    expect((await fetchText(url, { headers: { host: 'k.test' } })).body).toBe('up');
  });

  it('start does nothing to one that runs', async () => {
    const made = await running();
    const { url } = await made.router.observe();
    const client = rawClient(portOf(url));
    client.write('GET / HTTP/1.1\r\nHost: none.test\r\n\r\n');
    await client.until(/ 503 /);
    expect((await made.router.start()).url).toBe(url);
    client.write('GET / HTTP/1.1\r\nHost: none.test\r\n\r\n');
    await client.until(/ 503 [^]* 503 /);
    client.socket.destroy();
  });

  it('applies tables in order, and the last of many at once wins', async () => {
    const made = await running();
    const servers = [await app('x')];
    const tables = Array.from({ length: 20 }, () => tableOf({ k: { servers } }));
    const statuses = await Promise.all(tables.map((table) => made.router.apply(table)));
    expect(statuses.at(-1)!.version).toBe(tables.at(-1)!.version);
    statuses.forEach((status, i) => expect(status.version).toBeGreaterThanOrEqual(tables[i]!.version));
  });

  it('says so when its port is taken', async () => {
    const other = cleanUp.add(await tcpServer(() => undefined));
    await expect(make({ port: other.port })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(`port ${other.port}`),
    });
  });

  it('finishes open requests when it is stopped, and takes no new ones', async () => {
    const made = await running();
    let release: (() => void) | undefined;
    const slow = cleanUp.add(
      await httpServer((request, response) => {
        if (request.url === '/held') release = () => response.end('whole');
        else response.end('at once');
      }),
    );
    const { url } = await made.router.apply(tableOf({ k: { servers: [slow] } }));
    const idle = rawClient(portOf(url));
    idle.write('GET / HTTP/1.1\r\nHost: k.test\r\n\r\n');
    await idle.until(/at once$/);
    const open = fetchText(`${url}/held`, { headers: { host: 'k.test' } });
    await expect.poll(() => release !== undefined).toBe(true);
    const stopped = made.router.stop();
    const refused = () =>
      fetchText(url, { headers: { host: 'k.test' } }).then(
        () => false,
        () => true,
      );
    await expect.poll(refused).toBe(true);
    release!();
    expect((await open).body).toBe('whole');
    await stopped;
    await idle.ended();
    await expect(made.router.observe()).rejects.toMatchObject({ code: 'unavailable' });
    await made.router.stop();
  });
}
