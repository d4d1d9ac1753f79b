/** Whatever an agent sends: the control plane goes on, and a message that is none ends the link with a code. */
import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { createHandlers } from '../../../../src/control/agents/handlers.ts';
import { Hub } from '../../../../src/control/agents/hub.ts';
import { agentMessage, agentProtocol, logBlock } from '../../../../src/shared/contracts/agent.ts';
import { PaasError } from '../../../../src/shared/errors.ts';
import { encodeFrame } from '../../../../src/shared/frames.ts';
import { pushApp } from '../../../support/app-life.ts';
import { anything, arbitraryOf, oddText } from '../../../support/arbitrary.ts';
import { addHost, addRouter, facts, makeControl, type TestControl } from '../../../support/control.ts';

/** What the hub uses of a socket. */
class Socket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  readonly sent: string[] = [];
  closedWith: string | undefined;
  send(text: string): void {
    this.sent.push(text);
  }
  close(_code: number, reason: string): void {
    this.closedWith ??= reason;
    this.readyState = 3;
    this.emit('close');
  }
  terminate(): void {
    this.close(1006, 'terminated');
  }
}

let control: TestControl;
let known: { instance: string; appId: string };
const errors: unknown[] = [];
let hub: Hub;
beforeAll(async () => {
  control = await makeControl();
  await addHost(control, 'h1');
  const { app_id: appId } = await pushApp({ control, router: await addRouter(control) });
  const { id } = await control.store.db.selectFrom('instances').select('id').executeTakeFirstOrThrow();
  known = { instance: id, appId };
  const error = (_: string, thrown?: unknown) => void errors.push(thrown);
  hub = new Hub({ info: () => undefined, warn: () => undefined, error });
  hub.handle(createHandlers(control));
});
afterAll(async () => {
  await hub.close();
  await control.close();
});

const hello = () =>
  JSON.stringify({
    ...{ type: 'hello', protocol: agentProtocol, hostId: 'h1', facts: facts(), generation: 1 },
    ...{ instances: [], stepResults: [], steps: [] },
  });

type Frame = { text: string } | { bytes: Buffer };
/** Some of the names are those of what runs. */
const real = (text: string): string =>
  text
    .replace(/"(instance|id)":"(?:[^"\\]|\\.)*"/g, `"$1":"${known.instance}"`)
    .replace(/"appId":"(?:[^"\\]|\\.)*"/, `"appId":"${known.appId}"`);
const messages = fc
  .tuple(arbitraryOf(agentMessage, 20), fc.boolean())
  .map(([value, named]) => (named ? real(JSON.stringify(value)) : JSON.stringify(value)));
const texts: fc.Arbitrary<Frame> = fc
  .oneof(
    { weight: 10, arbitrary: messages },
    { weight: 1, arbitrary: anything.map((value) => JSON.stringify(value)) },
    oddText,
  )
  .map((text) => ({ text }));
const binaries: fc.Arbitrary<Frame> = fc.oneof(
  fc
    .tuple(arbitraryOf(logBlock, 30), fc.uint8Array({ maxLength: 40 }), fc.boolean())
    .map(([header, payload, named]) => ({
      bytes: encodeFrame(named ? JSON.parse(real(JSON.stringify(header))) : header, payload),
    })),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => ({ bytes: Buffer.from(bytes) })),
);

test.each([
  ['before the hello', false],
  ['after it', true],
])(
  'any frames %s',
  async (_, greeted) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(texts, binaries), { minLength: 1, maxLength: 4 }), async (frames) => {
        errors.length = 0;
        const logged = control.errors.length;
        const socket = new Socket();
        hub.attach('h1', socket as unknown as WebSocket);
        if (greeted) socket.emit('message', Buffer.from(hello()), false);
        for (const frame of frames) {
          if ('text' in frame) socket.emit('message', Buffer.from(frame.text), false);
          else socket.emit('message', frame.bytes, true);
        }
        // Waits until all that came is dealt with.
        await hub.close();
        for (const error of [...errors, ...control.errors.slice(logged)]) expect(error).toBeInstanceOf(PaasError);
        expect(socket.closedWith).not.toBe('internal');
        for (const text of socket.sent) JSON.parse(text);
      }),
      { numRuns: 250 },
    );
    // The next agent of this host is served as if nothing had been.
    const socket = new Socket();
    hub.attach('h1', socket as unknown as WebSocket);
    socket.emit('message', Buffer.from(hello()), false);
    await expect.poll(() => hub.connected('h1')).toBe(true);
    await control.routing.reconcile();
    await control.reconcileApp(known.appId);
  },
  60_000,
);
