import { describe, expect, it } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { run } from '../../../../src/cli/run.ts';
import { fakeStreams, harness, shop } from './support.ts';

const cli = harness();

/** Answers a session as the control plane does; `talk` plays the process at the other end. */
function session(talk: (socket: WebSocket, say: (message: object) => void) => void): void {
  const sockets = new WebSocketServer({ noServer: true });
  cli.platform.server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (client) =>
      talk(client, (message) => client.send(JSON.stringify({ session: 's1', ...message }))),
    );
  });
  cli.api({ [`POST ${shop}/sessions`]: { session: 's1', path: '/v1/sessions/s1', instance: 'web.1' } });
}

const output = (stream: string, data: string) => ({
  type: 'sessionOutput',
  stream,
  data: Buffer.from(data).toString('base64'),
});

describe('paas run and paas exec', () => {
  it('carry input, output and exit code', async () => {
    session((socket, say) => {
      const input: Buffer[] = [];
      socket.on('message', (text: Buffer) => {
        const { data } = JSON.parse(text.toString()) as { data: string | null };
        if (data !== null) {
          input.push(Buffer.from(data, 'base64'));
          return;
        }
        say(output('stdout', `got ${Buffer.concat(input).toString()}`));
        say(output('stderr', 'careful\n'));
        say(output('stdout', 'bye\n'));
        say({ type: 'sessionExit', code: 42 });
      });
    });
    const { code, stdout, stderr } = await cli.paas(['exec', 'web.1', '-a', 'shop', '--', 'cat'], {
      input: 'some input\n',
    });
    expect({ code, stdout }).toEqual({ code: 42, stdout: 'got some input\nbye\n' });
    expect(stderr).toContain('careful\n');
    expect(cli.body('POST')).toEqual({ kind: 'exec', instance: 'web.1', argv: ['cat'] });
  });
  it('give Ctrl-C to the process, which decides', async () => {
    session((socket, say) => {
      socket.on('message', (text: Buffer) => {
        const message = JSON.parse(text.toString()) as { type: string; signal?: string };
        // The first message is the end of standard input: the session is under way.
        if (message.type === 'sessionInput') process.emit('SIGINT');
        else say({ type: 'sessionExit', code: message.signal === 'SIGINT' ? 7 : 1 });
      });
    });
    expect((await cli.paas(['run', '-a', 'shop', '--', 'sleep', '100'])).code).toBe(7);
  });
  it('say that the outcome is unknown when the connection breaks', async () => {
    session((socket) => socket.terminate());
    const { code, stderr } = await cli.paas(['run', '-a', 'shop', '--', 'true']);
    expect(code).toBe(10);
    expect(stderr).toContain('may still run');
  });
  it('say why a session failed', async () => {
    session((_, say) => say({ type: 'sessionExit', code: 255, error: 'the host does not answer' }));
    expect(await cli.paas(['run', '-a', 'shop', '--', 'true'])).toMatchObject({
      code: 7,
      stderr: expect.stringContaining('the host does not answer') as string,
    });
  });
  it('lose nothing of much output to a slow reader', async () => {
    const pieces = 200;
    session((_, say) => {
      for (let i = 0; i < pieces; i++) say(output('stdout', `${i}:${'x'.repeat(20_000)}\n`));
      say({ type: 'sessionExit', code: 0 });
    });
    const { stdout } = await cli.paas(['run', '-a', 'shop', '--', 'true']);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(':')[0]),
    ).toEqual(Array.from({ length: pieces }, (_, i) => String(i)));
  });
  it('read no more input than the process takes', async () => {
    let waiting = 0;
    let most = 0;
    let all = 0;
    session((socket, say) => {
      say({ type: 'sessionTaken', bytes: 0 });
      socket.on('message', (text: Buffer) => {
        const { data } = JSON.parse(text.toString()) as { data: string | null };
        if (data === null) say({ type: 'sessionExit', code: 0 });
        waiting += Buffer.from(data ?? '', 'base64').length;
        most = Math.max(most, waiting);
        // Whatever is on its way comes before the pong.
        socket.ping();
      });
      socket.on('pong', () => {
        say({ type: 'sessionTaken', bytes: waiting });
        all += waiting;
        waiting = 0;
      });
    });
    const input = Array.from({ length: 40 }, () => 'x'.repeat(100_000));
    expect((await cli.paas(['run', '-a', 'shop', '--', 'cat'], { input })).code).toBe(0);
    expect(all + waiting).toBe(4_000_000);
    expect(most).toBeLessThan(700_000);
  });
  it('carry all input to a host that does not say what it took', async () => {
    let all = 0;
    session((socket, say) => {
      socket.on('message', (text: Buffer) => {
        const { data } = JSON.parse(text.toString()) as { data: string | null };
        all += Buffer.from(data ?? '', 'base64').length;
        if (data === null) say({ type: 'sessionExit', code: 0 });
      });
    });
    const input = Array.from({ length: 40 }, () => 'x'.repeat(100_000));
    expect((await cli.paas(['run', '-a', 'shop', '--', 'cat'], { input })).code).toBe(0);
    expect(all).toBe(4_000_000);
  });
  it('start and leave with --detach', async () => {
    cli.api({ [`POST ${shop}/sessions`]: { session: null, path: null, instance: 'run.4' } });
    expect((await cli.paas(['run', '--detach', '-a', 'shop', '--json', '--', 'x'])).json()).toEqual({
      app: 'shop',
      instance: 'run.4',
    });
  });
});

it('events -t shows what comes, as one object a line with --json', async () => {
  const event = {
    ts: 't',
    id: 'evt_1',
    actor: 'key:x',
    kind: 'app.push',
    app: 'shop',
    target: null,
    message: 'pushed',
    details: {},
  };
  let answered = 0;
  cli.platform.handle((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(`event: event\nid: 7\ndata: ${JSON.stringify(event)}\n\n`);
    answered += 1;
    if (answered === 1) response.end();
  });
  const { streams, stdout } = fakeStreams();
  const running = run(['events', '-t', '-a', 'shop', '--json'], cli.env(), streams);
  await expect.poll(stdout).toBe(`${JSON.stringify(event)}\n`.repeat(2));
  process.emit('SIGINT');
  expect(await running).toBe(130);
  expect(stdout()).toBe(`${JSON.stringify(event)}\n`.repeat(2));
  expect(cli.platform.seen[0]?.url).toBe(`${shop}/events/stream?n=100`);
  expect(cli.platform.seen[1]?.headers['last-event-id']).toBe('7');
});
