import { describe, expect, it } from 'vitest';
import { block, open, temporaryDirectory, texts } from './store.ts';

const directory = temporaryDirectory();

describe('the log of an app that is destroyed', () => {
  it('acknowledges what arrives at that moment, so that no agent sends it for ever', async () => {
    const { store } = await open(directory(), { commitMs: 60_000 });
    const sent = store.append(block({ from: 0, to: 9 }), Buffer.from('too late\n'));
    await store.remove('app');
    expect(await sent).toEqual({ instance: 'ins_1', stream: 'stdout', offset: 9 });
    expect(await texts(store)).toEqual([]);
    await store.close();
  });
});
