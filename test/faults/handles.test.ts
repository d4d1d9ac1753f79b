/** The real programs over many pushes: what they hold open does not grow with them. */
import { readdirSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
});
afterAll(() => paas.remove());

const looks = 10;

/** Open handles of a process, without packs and segments, of which a bounded number is kept open; undefined when it has ended. */
function handles(pid: number): number | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
      try {
        return !/\.(pack|seg)$/.test(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false; // It was closed meanwhile.
      }
    }).length;
  } catch {
    return undefined;
  }
}

it('control plane, cloud, agents and router hold no more open after twenty pushes than after three', async () => {
  const push = async (version: number): Promise<void> => {
    await paas.ok(['push', 'shop'], { cwd: paas.source('probe', { VERSION: `${version}\n` }) });
    await paas.serves('shop', `version ${version}`);
    await paas.settled('shop', { web: 1 });
  };
  /**
   * Of each process the least of several looks: requests of the moment hold sockets open. One that is not there each time
   * is none of the platform's programs: what starts a process is twice itself until the other one has its own name.
   */
  const look = async (): Promise<Map<number, number>> => {
    const counts = new Map<number, number[]>();
    for (let i = 0; i < looks; i++) {
      const { servers, clouds, agents, routers } = paas.processes();
      for (const { pid } of [...servers, ...clouds, ...agents, ...routers])
        counts.set(pid, [...(counts.get(pid) ?? []), ...[handles(pid) ?? []].flat()]);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const steady = [...counts].filter(([, all]) => all.length === looks);
    return new Map(steady.map(([pid, all]) => [pid, Math.min(...all)]));
  };
  for (let version = 1; version <= 3; version++) await push(version);
  const before = await look();
  expect(before.size).toBeGreaterThanOrEqual(5);
  for (let version = 4; version <= 20; version++) await push(version);
  const after = await paas.waitFor(
    'as few handles as before',
    async () => {
      const now = await look();
      return [...before].every(([pid, count]) => (now.get(pid) ?? Infinity) <= count + 3) && now;
    },
    60_000,
  );
  expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
}, 400_000);
