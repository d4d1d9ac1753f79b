/** Whatever the control plane sends, and whatever user-data a host is made with. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { createLink, type LinkHandlers } from '../../../../src/agent/link.ts';
import { createControlHttp } from '../../../../src/agent/link-http.ts';
import { createLog } from '../../../../src/agent/log.ts';
import { readUserData } from '../../../../src/agent/main.ts';
import { agentUserData, controlMessage } from '../../../../src/shared/contracts/agent.ts';
import { PaasError } from '../../../../src/shared/errors.ts';
import { facts } from '../../../support/control.ts';
import { anything, arbitraryOf, oddText } from '../../../support/arbitrary.ts';

const directory = mkdtempSync(join(tmpdir(), 'paas-agent-fuzz-'));
afterAll(() => rmSync(directory, { recursive: true }));

const frames = fc.oneof(
  { weight: 6, arbitrary: arbitraryOf(controlMessage, 20).map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: anything.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: oddText },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
);
const welcome = JSON.stringify({ type: 'welcome', serverVersion: '1', logs: [], heartbeatMs: 1000 });

test('any frames: each is one of the messages for the agent, or the link is closed and made anew', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  let linked: (socket: WebSocket) => void = () => undefined;
  server.on('connection', (socket) => socket.once('message', () => linked(socket)));
  const http = createControlHttp(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  http.setKey({ keyId: 'k', secret: 'a secret' });
  const handlers: LinkHandlers = {
    hello: () => ({
      ...{ type: 'hello', protocol: 1, hostId: 'h', facts: facts(), generation: 0 },
      ...{ instances: [], stepResults: [], steps: [] },
    }),
    onUp: () => undefined,
    onDown: () => undefined,
    onMessage: (message) => void controlMessage.parse(message),
  };
  const backoff = { next: () => 1, reset: () => undefined };
  const link = createLink({ http, handlers, backoff, log: createLog(() => undefined) });
  const end = new AbortController();
  const nextLink = () => new Promise<WebSocket>((resolve) => (linked = resolve));
  let next = nextLink();
  const running = link.run(end.signal);
  await fc.assert(
    fc.asyncProperty(fc.array(frames, { minLength: 1, maxLength: 4 }), async (sent) => {
      const socket = await next;
      next = nextLink();
      socket.send(welcome);
      for (const frame of sent) socket.send(frame);
      // Has it not closed the link by itself, it answers, and lives.
      await Promise.race([
        new Promise((resolve) => socket.once('close', resolve)),
        new Promise((resolve) => socket.once('pong', resolve).ping()),
      ]);
      socket.terminate();
    }),
    { numRuns: 120 },
  );
  const socket = await next;
  socket.send(welcome);
  await expect.poll(() => link.up).toBe(true);
  end.abort();
  await running;
  http.close();
  for (const client of server.clients) client.terminate();
  server.close();
}, 60_000);

test('any user-data: what an agent needs, or a refusal that does not show it', () => {
  const path = join(directory, 'user-data');
  const texts = fc.oneof(
    arbitraryOf(agentUserData, 15).map((value) => JSON.stringify(value)),
    anything.map((value) => JSON.stringify(value)),
    oddText,
  );
  fc.assert(
    fc.property(texts, (text) => {
      writeFileSync(path, text);
      try {
        expect(new URL(readUserData(path).controlUrl).protocol).toMatch(/^https?:$/);
      } catch (error) {
        expect(error).toBeInstanceOf(PaasError);
        expect((error as PaasError).code).toBe('usage');
        expect((error as PaasError).message).not.toContain('token');
      }
    }),
    { numRuns: 300 },
  );
});
