/** The embedded router under what only somebody hostile, or a bad day, does to it. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { constants, type Http2Session } from 'node:http2';
import { request } from 'node:http';
import { join } from 'node:path';
import { readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { lockHolder } from '../../src/shared/lock-file.ts';
import { isAlive, sendSignal } from '../../src/shared/processes.ts';
import { certificateFor, trusted } from '../support/certificates.ts';
import { ask, http2Client } from '../support/http2.ts';
import { requireOrSkip } from '../support/skip.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { eventually, fetchText, freePort, httpServer, rawClient, tcpServer } from '../support/wire.ts';
import { make } from './router/embedded.ts';
import { CleanUp, portOf, tableOf, type MakeOptions } from './router/support.ts';

describe('the embedded router under faults', () => {
  const cleanUp = new CleanUp();
  afterEach(() => cleanUp.run());
  const running = async (options?: MakeOptions) => {
    const made = await make(options);
    cleanUp.add({ close: () => made.dispose() });
    return made;
  };
  const holder = ({ directory }: { directory: string }) => lockHolder(join(directory, 'router.lock'));
  const echo = async () => cleanUp.add(await httpServer((incoming, response) => void incoming.pipe(response)));
  const headers = { host: 'k.test' };

  it('survives HTTP/2 by prior knowledge over TLS, where ALPN did not choose it', async () => {
    const made = await running({ tlsPort: 0 });
    const before = holder(made);
    const more = { certificates: [await certificateFor('k.test')] };
    let requests = 0;
    const app = await httpServer((incoming, response) => {
      requests++;
      incoming.pipe(response);
    });
    cleanUp.add(app);
    const { tlsUrl } = await made.router.apply(tableOf({ k: { servers: [app] } }, more));
    const ca = await trusted();
    for (const ALPNProtocols of [[], ['http/1.1']]) {
      const socket = connect({ host: '127.0.0.1', port: portOf(tlsUrl!), servername: 'k.test', ca, ALPNProtocols });
      await once(socket, 'secureConnect');
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
      // A late end may be a reset.
      await new Promise((resolve) =>
        socket
          .resume()
          .on('error', () => undefined)
          .once('close', resolve),
      );
    }
    const session = await http2Client(tlsUrl!, ca, 'k.test');
    cleanUp.add({ close: () => session.destroy() });
    const answer = await ask(session, { ':authority': 'k.test', ':method': 'POST' }, 'still here');
    expect(answer.body.toString()).toBe('still here');
    // Once, as it was asked.
    expect(requests).toBe(1);
    expect(holder(made)).toEqual(before);
  });

  it('survives a status that HTTP does not know, and goes on counting', async () => {
    const made = await running();
    const before = holder(made);
    const app = await tcpServer((socket) =>
      socket.on('data', (bytes) => {
        const whole = bytes.includes('/whole');
        socket.write(`HTTP/1.1 999 No\r\nContent-Length: ${whole ? 0 : 4}\r\n\r\n`);
        if (!whole) setTimeout(() => socket.write('body'), 50);
      }),
    );
    cleanUp.add(app);
    const { url } = await made.router.apply(tableOf({ k: { servers: [app] } }));
    expect((await fetchText(url, { headers })).status).toBe(999);
    const session = await http2Client(url);
    cleanUp.add({ close: () => session.destroy() });
    const to = { ':authority': 'k.test' };
    expect((await ask(session, { ...to, ':path': '/whole' })).status).toBe(500);
    expect(await ask(session, to)).toMatchObject({ status: 500, body: Buffer.from('body') });
    const { counts } = await made.router.traffic();
    expect(counts.map(({ classes }) => classes)).toEqual([[0, 0, 0, 0, 3]]);
    expect((await made.router.observe()).open).toEqual({});
    expect(holder(made)).toEqual(before);
  });

  it('tells a busy HTTP/2 client to leave a process that was exchanged', async () => {
    const made = await running();
    const table = tableOf({ k: { servers: [await echo()] } });
    const { url } = await made.router.apply(table);
    const session = await http2Client(url);
    cleanUp.add({ close: () => session.destroy() });
    const post = { ':authority': 'k.test', ':method': 'POST' };
    await ask(session, post, 'one');
    await made.restart();
    // The process before answers for a table when it knows that it is one of before.
    await made.router.apply({ ...table, version: table.version + 1 });
    const leave = once(session as Http2Session, 'goaway');
    expect((await ask(session, post, 'two')).body.toString()).toBe('two');
    expect((await leave)[0]).toBe(constants.NGHTTP2_NO_ERROR);
  });

  it('counts and routes what is open in a process exchanged twice', async () => {
    const made = await running();
    const waiting: (() => void)[] = [];
    const app = async (text: string) =>
      cleanUp.add(
        await httpServer((incoming, response) => {
          if (incoming.url === '/slow') waiting.push(() => response.end(text));
          else response.end(text);
        }),
      );
    const { url } = await made.router.apply(tableOf({ k: { servers: [await app('first')] } }));
    const kept = rawClient(portOf(url));
    cleanUp.add({ close: () => kept.socket.destroy() });
    const ping = 'GET / HTTP/1.1\r\nHost: k.test\r\n\r\n';
    kept.write(ping);
    await kept.until(/first$/);
    const slow = fetchText(`${url}/slow`, { headers });
    await expect.poll(() => waiting.length).toBe(1);
    await made.restart();
    await made.restart();
    await expect.poll(async () => (await made.router.observe()).open).toEqual({ 'k-0': 1 });
    await made.router.apply(tableOf({ k: { servers: [await app('second')] } }));
    kept.write(ping);
    await kept.until(/second$/);
    waiting[0]!();
    expect((await slow).body).toBe('first');
    await expect.poll(async () => (await made.router.observe()).open).toEqual({});
    await eventually('the processes before to end', () => made.processes().length === 1);
  });

  it('puts no table in force that waited while another process took over', async () => {
    const made = await running();
    await made.router.apply(tableOf({ k: { servers: [await echo()] } }));
    const socketPath = join(made.directory, 'admin.sock');
    // Past the driver, which would give it again: one connection for each, in the middle of the exchange.
    const before = holder(made)!;
    const old = tableOf({ old: { servers: [] } });
    process.kill(before.pid, 'SIGHUP');
    const outcomes: Promise<number>[] = [];
    while (holder(made)?.pid === before.pid) {
      outcomes.push(
        new Promise((resolve) => {
          const outgoing = request({ socketPath, method: 'PUT', path: '/table', agent: false }, (response) => {
            response.resume().on('end', () => resolve(response.statusCode ?? 0));
          });
          outgoing.on('error', () => resolve(0)).end(JSON.stringify(old));
        }),
      );
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await eventually('the process before to end', () => !isAlive(before));
    await Promise.all(outcomes);
    // What is in force is what is on disk, whoever took it up.
    const saved = JSON.parse(readFileSync(join(made.directory, 'table.json'), 'utf8')) as { version: number };
    expect((await made.router.observe()).version).toBe(saved.version);
  });

  it('goes on after the death of either process in the middle of an exchange', async () => {
    for (const victim of ['old', 'new'] as const) {
      for (const wait of [0, 100, 200, 300]) {
        const made = await running({ port: await freePort() });
        const { url } = await made.router.apply(tableOf({ k: { servers: [await echo()] } }));
        const before = holder(made)!.pid;
        process.kill(before, 'SIGHUP');
        // The first one may be gone when this is looked at.
        let heir: number | undefined;
        await eventually('a second process', () => {
          heir = made.processes().find((pid) => pid !== before);
          return heir !== undefined;
        });
        await new Promise((resolve) => setTimeout(resolve, wait));
        sendSignal(victim === 'old' ? before : heir!, 'SIGKILL');
        // One that is not a router yet has the directory already: another one cannot begin meanwhile.
        const start = async () => (await made.router.start().catch(() => null))?.url;
        await expect.poll(start, { timeout: 40_000 }).toBe(url);
        expect((await fetchText(url, { headers, method: 'POST', body: 'x' })).body).toBe('x');
        await made.dispose();
      }
    }
  });

  it('ends both processes when it is told to end in the middle of an exchange', async () => {
    const made = await running();
    const before = holder(made)!.pid;
    process.kill(before, 'SIGHUP');
    await eventually('a second process', () => made.processes().some((pid) => pid !== before));
    await made.router.stop();
    await eventually('no process', () => made.processes().length === 0);
  });

  it('loses nobody to a process that does not get as far as serving', async () => {
    const made = await running();
    const { url } = await made.router.apply(tableOf({ k: { servers: [await echo()] } }));
    const before = holder(made)!;
    // Reading it never ends.
    const table = join(made.directory, 'table.json');
    rmSync(table);
    execFileSync('mkfifo', [table]);
    process.kill(before.pid, 'SIGHUP');
    await eventually('a second process', () => made.processes().length === 2);
    const until = Date.now() + 2000;
    while (Date.now() < until)
      expect((await fetchText(url, { headers, method: 'POST', body: 'x', timeout: 5000 })).body).toBe('x');
    process.kill(
      made.processes().find((pid) => pid !== before.pid)!,
      'SIGKILL',
    );
    const failed = async () => (await made.router.observe()).problems.join();
    await expect.poll(failed).toMatch(/^The new router process does not serve/);
    expect((await fetchText(url, { headers, method: 'POST', body: 'y' })).body).toBe('y');
    expect(holder(made)).toEqual(before);
  });

  it('waits for a process before it that is busy', async () => {
    const made = await running();
    const app = async (text: string) => cleanUp.add(await httpServer((_request, response) => response.end(text)));
    const { url } = await made.router.apply(tableOf({ k: { servers: [await app('first')] } }));
    const before = holder(made)!;
    const kept = rawClient(portOf(url));
    cleanUp.add({ close: () => kept.socket.destroy() });
    const ping = 'GET / HTTP/1.1\r\nHost: k.test\r\n\r\n';
    kept.write(ping);
    await kept.until(/first$/);
    await made.restart();
    process.kill(before.pid, 'SIGSTOP');
    let applied = false;
    const applying = made.router
      .apply(tableOf({ k: { servers: [await app('second')] } }))
      .finally(() => (applied = true));
    await new Promise((resolve) => setTimeout(resolve, 5000));
    expect(applied).toBe(false);
    process.kill(before.pid, 'SIGCONT');
    await applying;
    kept.write(ping);
    await kept.until(/second$/);
  });

  it('survives a storm of restarts', async () => {
    const made = await running();
    const { url } = await made.router.apply(tableOf({ k: { servers: [await echo()] } }));
    for (let round = 0; round < 100; round++) {
      const pid = holder(made)?.pid;
      if (pid !== undefined) sendSignal(pid, 'SIGHUP');
      if (round % 10 === 0) expect((await fetchText(url, { headers })).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await expect.poll(() => made.processes().length, { timeout: 30_000 }).toBe(1);
    expect((await fetchText(url, { headers })).status).toBe(200);
    expect((await made.router.observe()).url).toBe(url);
  });

  it('stays the router where the disk has no room for an exchange', async (context) => {
    const made = await running();
    await made.router.stop();
    rmSync(made.directory, { recursive: true });
    const disk = mountSmallDisk(made.directory, 1);
    requireOrSkip(context, disk !== undefined, 'a small disk of its own (needs the right to mount)');
    if (!disk) return;
    cleanUp.add({ close: () => made.kill().then(() => disk.remove()) });
    await made.router.start();
    const { url } = await made.router.apply(tableOf({ k: { servers: [await echo()] } }));
    const before = holder(made)!;
    disk.fill(0);
    process.kill(before.pid, 'SIGHUP');
    const failed = async () => (await made.router.observe()).problems.join();
    await expect.poll(failed).toMatch(/^The new router process does not serve/);
    expect((await fetchText(url, { headers, method: 'POST', body: 'x' })).body).toBe('x');
    expect(holder(made)).toEqual(before);
    await eventually('one process', () => made.processes().length === 1);
    disk.empty();
    await made.restart();
    expect((await fetchText(url, { headers, method: 'POST', body: 'y' })).body).toBe('y');
  });
});
