/** What the server remembers beside its objects: nonces, answers, events. */
import { describe, expect, it } from 'vitest';
import { Events } from '../../../src/control/events/events.ts';
import * as idempotency from '../../../src/control/store/idempotency.ts';
import { StoredNonces } from '../../../src/control/store/nonces.ts';
import type { Stores } from '../store.suite.ts';

export function memory(stores: Stores): void {
  describe('nonces', () => {
    it('are good once for a key, also after a restart', async () => {
      const url = await stores.fresh();
      const store = await stores.open(url);
      const nonces = new StoredNonces(store);
      const later = Date.now() + 60_000;
      expect(await nonces.use('k', 'n', later)).toBe(true);
      expect(await nonces.use('k', 'n', later)).toBe(false);
      expect(await nonces.use('other', 'n', later)).toBe(true);
      await store.close();
      const again = new StoredNonces(await stores.open(url));
      expect(await again.use('k', 'n', later)).toBe(false);
      expect(await again.use('k', 'm', later)).toBe(true);
    });

    it('are good once when they come many times at once', async () => {
      const nonces = new StoredNonces(await stores.open());
      const answers = await Promise.all(Array.from({ length: 10 }, () => nonces.use('k', 'n', Date.now() + 60_000)));
      expect(answers.filter(Boolean)).toHaveLength(1);
    });

    it('are forgotten after their time, not before', async () => {
      const nonces = new StoredNonces(await stores.open());
      await nonces.use('k', 'old', 1000);
      await nonces.use('k', 'new', 3000);
      await nonces.prune(2000);
      expect(await nonces.use('k', 'new', 3000)).toBe(false);
      expect(await nonces.use('k', 'old', 3000)).toBe(true);
    });
  });

  describe('idempotency', () => {
    it('gives a finished request the same answer, and another one a refusal', async () => {
      const store = await stores.open();
      expect(await idempotency.beginIdempotent(store, 'k', 'i', 'print')).toEqual({ state: 'new' });
      await expect(idempotency.beginIdempotent(store, 'k', 'i', 'print')).rejects.toMatchObject({ code: 'locked' });
      await expect(idempotency.beginIdempotent(store, 'k', 'i', 'other')).rejects.toMatchObject({ code: 'conflict' });
      await idempotency.finishIdempotent(store, 'k', 'i', 202, '{"a":1}');
      const done = { state: 'done', status: 202, body: '{"a":1}' };
      expect(await idempotency.beginIdempotent(store, 'k', 'i', 'print')).toEqual(done);
      await expect(idempotency.beginIdempotent(store, 'k', 'i', 'other')).rejects.toMatchObject({ code: 'conflict' });
      expect(await idempotency.beginIdempotent(store, 'another key', 'i', 'other')).toEqual({ state: 'new' });
    });

    it('lets a request that failed be repeated', async () => {
      const store = await stores.open();
      await idempotency.beginIdempotent(store, 'k', 'i', 'print');
      await idempotency.abandonIdempotent(store, 'k', 'i');
      expect(await idempotency.beginIdempotent(store, 'k', 'i', 'print')).toEqual({ state: 'new' });
    });

    it('carries one of many equal requests out', async () => {
      const store = await stores.open();
      const begin = () =>
        idempotency.beginIdempotent(store, 'k', 'i', 'print').then(
          () => 1,
          () => 0,
        );
      const answers = await Promise.all(Array.from({ length: 8 }, begin));
      expect(answers.filter((answer) => answer === 1)).toHaveLength(1);
    });

    it('forgets after a kill what was begun and not answered, and what is old', async () => {
      const store = await stores.open();
      const now = 10 * 24 * 3600_000;
      await idempotency.beginIdempotent(store, 'k', 'unanswered', 'print', now);
      await idempotency.beginIdempotent(store, 'k', 'old', 'print', now - 2 * 24 * 3600_000);
      await idempotency.finishIdempotent(store, 'k', 'old', 200, '{}');
      await idempotency.beginIdempotent(store, 'k', 'answered', 'print', now);
      await idempotency.finishIdempotent(store, 'k', 'answered', 200, '{}');
      await idempotency.recoverIdempotent(store, now);
      const begin = async (key: string) => (await idempotency.beginIdempotent(store, 'k', key, 'print')).state;
      expect([await begin('unanswered'), await begin('old'), await begin('answered')]).toEqual(['new', 'new', 'done']);
    });
  });

  describe('events', () => {
    it('come back in their order, filtered, and from where one was', async () => {
      const events = new Events(await stores.open());
      const app = { id: 'app_1', name: 'shop' };
      for (let i = 1; i <= 5; i++) {
        await events.record({ kind: `k${i}`, actor: 'platform', message: `m${i}`, ...(i % 2 ? { app } : {}) });
      }
      await events.record({ kind: 'k6', actor: 'key:a', message: 'm6', deployment: 'dep_1', details: { n: [1, 'ä'] } });
      const kinds = async (filter: Parameters<Events['list']>[0]) =>
        (await events.list(filter)).map(({ kind }) => kind);
      expect(await kinds({})).toEqual(['k1', 'k2', 'k3', 'k4', 'k5', 'k6']);
      expect(await kinds({ limit: 2 })).toEqual(['k5', 'k6']);
      expect(await kinds({ appId: 'app_1' })).toEqual(['k1', 'k3', 'k5']);
      const [last] = await events.list({ deploymentId: 'dep_1' });
      expect(last).toMatchObject({ kind: 'k6', actor: 'key:a', app: null, details: { n: [1, 'ä'] } });
      const [, second] = await events.list({});
      expect(await kinds({ afterSeq: second!.seq, limit: 2 })).toEqual(['k3', 'k4']);
      expect(await kinds({ afterSeq: last!.seq })).toEqual([]);
    });

    it('tell those who listen, until they stop', async () => {
      const events = new Events(await stores.open());
      const heard: string[] = [];
      const stop = events.listen(({ kind }) => heard.push(kind));
      await events.record({ kind: 'a', actor: 'platform', message: '' });
      stop();
      await events.record({ kind: 'b', actor: 'platform', message: '' });
      expect(heard).toEqual(['a']);
    });

    it('are part of a transaction that records them', async () => {
      const store = await stores.open();
      const events = new Events(store);
      const failing = store.transaction(async (trx) => {
        await events.record({ kind: 'a', actor: 'platform', message: '' }, trx);
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(await events.list({})).toEqual([]);
    });

    it('are kept by age and number', async () => {
      const store = await stores.open();
      const events = new Events(store);
      for (let i = 0; i < 10; i++) await events.record({ kind: `k${i}`, actor: 'platform', message: '' });
      const [first] = await events.list({});
      await store.db.updateTable('events').set({ ts: 1000 }).where('seq', '=', first!.seq).execute();
      await events.prune(60_000, 100, Date.now());
      expect((await events.list({})).map(({ kind }) => kind)).toEqual([
        'k1',
        'k2',
        'k3',
        'k4',
        'k5',
        'k6',
        'k7',
        'k8',
        'k9',
      ]);
      await events.prune(60_000, 3, Date.now());
      expect((await events.list({})).map(({ kind }) => kind)).toEqual(['k7', 'k8', 'k9']);
      await events.prune(60_000, 0, Date.now());
      await events.record({ kind: 'next', actor: 'platform', message: '' });
      const [next] = await events.list({});
      // Numbers are never given twice: whoever resumes at one must not miss what follows.
      expect(next!.seq).toBeGreaterThan(first!.seq + 9);
    });
  });
}
