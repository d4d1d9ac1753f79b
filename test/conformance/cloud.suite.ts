/** What every Cloud driver must do. Run it on a driver with `cloudConformance(name, setup)`. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CloudDriver, CloudHost, CloudHostState, CreateHost } from '../../src/clouds/port.ts';
import { PaasError } from '../../src/shared/errors.ts';
import { waitFor } from '../support/local-cloud.ts';

export interface CloudSetup {
  driver: CloudDriver;
  /** The same account, used by another platform. */
  neighbour: CloudDriver;
  /** The same account with a wrong key. */
  stranger: CloudDriver;
  /** User-data with which a host boots. */
  userData: string;
  remove(): Promise<void>;
}

let sequence = 0;

export function cloudConformance(name: string, setup: () => Promise<CloudSetup>): void {
  describe(`cloud driver ${name}`, () => {
    let cloud: CloudSetup;
    let driver: CloudDriver;
    beforeEach(async () => {
      cloud = await setup();
      driver = cloud.driver;
    });
    afterEach(() => cloud.remove());

    const request = (overrides: Partial<CreateHost> = {}): CreateHost => ({
      token: `int_${process.pid}_${++sequence}`,
      name: 'h1',
      cpu: 2,
      memoryMb: 4096,
      userData: cloud.userData,
      ...overrides,
    });
    const reach = (id: string, state: CloudHostState): Promise<CloudHost> =>
      waitFor(async () => {
        const host = await driver.get(id);
        expect(host?.state).toBe(state);
        return host!;
      });
    const created = async (overrides?: Partial<CreateHost>) => {
      const host = await driver.create(request(overrides));
      return reach(host.id, 'running');
    };

    it('reports that all is well, and changes nothing', async () => {
      const check = await driver.check();
      expect(check.problems).toEqual([]);
      expect(Math.abs(check.clockOffsetMs)).toBeLessThan(60_000);
      expect(check.zones.length).toBeGreaterThan(0);
      expect(check.images.length).toBeGreaterThan(0);
      expect(check.hosts).toBe(0);
      expect(await driver.list()).toEqual([]);
    });

    it('creates a host that comes to run with an address', async () => {
      const asked = request({ name: 'alpha' });
      const host = await driver.create(asked);
      expect(host).toMatchObject({ token: asked.token, name: 'alpha' });
      expect(host.warning).toBeUndefined();
      const running = await reach(host.id, 'running');
      expect(running).toMatchObject({ id: host.id, token: asked.token, name: 'alpha' });
      expect(running.addresses).toHaveLength(1);
      expect(Date.parse(running.createdAt)).toBeGreaterThan(0);
      expect((await driver.check()).hosts).toBe(1);
    });

    it('finds a host by its token as soon as create has answered, and by no other', async () => {
      const asked = request();
      const host = await driver.create(asked);
      expect((await driver.findByToken(asked.token)).map((found) => found.id)).toEqual([host.id]);
      expect(await driver.findByToken(`${asked.token}0`)).toEqual([]);
      expect(await driver.findByToken(asked.token.slice(0, -1))).toEqual([]);
    });

    it('gives hosts different ids and addresses', async () => {
      const hosts = await Promise.all([created(), created(), created()]);
      expect(new Set(hosts.map((host) => host.id)).size).toBe(3);
      const listed = await driver.list();
      expect(new Set(listed.map((host) => host.id))).toEqual(new Set(hosts.map((host) => host.id)));
    });

    it('lists and finds hosts of its own platform only', async () => {
      const asked = request();
      const host = await driver.create(asked);
      expect(await cloud.neighbour.list()).toEqual([]);
      expect(await cloud.neighbour.findByToken(asked.token)).toEqual([]);
      expect((await driver.list()).map((found) => found.id)).toEqual([host.id]);
    });

    it('stops and starts a host, each as often as one likes', async () => {
      const { id } = await created();
      await driver.stop(id);
      await driver.stop(id);
      await reach(id, 'stopped');
      await driver.stop(id);
      await driver.start(id);
      await driver.start(id);
      await reach(id, 'running');
      await driver.start(id);
    });

    it('restarts a host, also one that is off', async () => {
      const { id } = await created();
      await driver.restart(id);
      await reach(id, 'running');
      await driver.stop(id);
      await reach(id, 'stopped');
      await driver.restart(id);
      await reach(id, 'running');
    });

    it('destroys a running host, and again', async () => {
      const { id } = await created();
      await driver.destroy(id);
      await waitFor(async () => expect(await driver.get(id)).toBeNull());
      await driver.destroy(id);
      expect(await driver.list()).toEqual([]);
    });

    it('destroys a host that has just been created', async () => {
      const { id } = await driver.create(request());
      await driver.destroy(id);
      await waitFor(async () => expect(await driver.get(id)).toBeNull());
    });

    it('destroys a host from two sides at once', async () => {
      const { id } = await created();
      await Promise.all([driver.destroy(id), driver.destroy(id)]);
      await waitFor(async () => expect(await driver.get(id)).toBeNull());
    });

    it('says cloud_not_found for a host that does not exist', async () => {
      expect(await driver.get('999999')).toBeNull();
      for (const act of ['start', 'stop', 'restart'] as const) {
        await expect(driver[act]('999999')).rejects.toMatchObject({ code: 'cloud_not_found' });
      }
      await driver.destroy('999999');
    });

    it('says cloud_auth for a wrong key, without repeating any key', async () => {
      const failure = await cloud.stranger.list().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(PaasError);
      expect((failure as PaasError).code).toBe('cloud_auth');
      expect(JSON.stringify(failure) + String((failure as Error).stack)).not.toContain('wrong-key');
      await expect(cloud.stranger.create(request())).rejects.toMatchObject({ code: 'cloud_auth' });
      expect(await driver.list()).toEqual([]);
    });
  });
}
