/** A push in the middle of which something is killed, after so many of the events that it records; and what must be true then. */
import { describe, expect, it } from 'vitest';
import type { EventRow, HostRow } from '../../src/shared/contracts/api.ts';
import { killNow, type CliResult, type Platform } from './platform.ts';

export interface Victim {
  /** Ends it at once. */
  kill: (paas: Platform) => Promise<unknown>;
  /** What somebody has to do then; by default nobody does anything. */
  mend?: (paas: Platform) => Promise<unknown>;
  /** Exit codes that the push which was under way may have. */
  exits: readonly number[];
  /** How often instances may have begun: with its host, one is lost and another takes its place. */
  starts: number;
  /** After how many events it is killed. */
  steps: readonly number[];
  /** Whether each push begins on a platform without compute hosts, so that making one is part of it. */
  newHosts: boolean;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
/** What is told of a host that a push needs. */
const ofHosts = ['host.wanted', 'host.created', 'host.enrolled', 'host.ready'];
/** With hosts to be made: app.push, host.wanted, .created, .enrolled, .ready, then eight of build, release and rollout. */
const untilHealthy = 13;
/** Before that, the push has no host. */
const hostCreated = 3;
/** The same without the four of the host. */
const untilHealthyOnHost = untilHealthy - 4;

export const victims = {
  'the control plane': {
    kill: (paas) => killNow([paas.pid('servers')]),
    mend: (paas) => paas.up(),
    // It went on by itself after the server was back, or says that it does not know.
    exits: [0, 9, 10],
    starts: 1,
    steps: range(0, untilHealthy),
    newHosts: true,
  },
  'the agent': {
    kill: async (paas) => {
      const addresses = new Set((await others(paas)).flatMap(({ ips }) => ips));
      const agents = paas.processes().agents.filter(({ command }) => addresses.has(addressOf(command)));
      await killNow(agents.map(({ pid }) => pid));
    },
    exits: [0],
    starts: 1,
    // A new host each time, since an agent that dies again and again is started later and later.
    steps: range(hostCreated, untilHealthy),
    newHosts: true,
  },
  'the router process': {
    kill: (paas) => killNow(paas.processes().routers.map(({ pid }) => pid)),
    exits: [0],
    starts: 1,
    steps: range(0, untilHealthyOnHost),
    newHosts: false,
  },
  'the host': {
    kill: async (paas) => {
      for (const { id } of await others(paas)) await paas.cloud('POST', `/cloud_servers/${id}/kill`);
    },
    // 7: the release command was under way, and is not run again by itself.
    exits: [0, 7],
    starts: 2,
    steps: range(hostCreated, untilHealthy),
    newHosts: true,
  },
} satisfies Record<string, Victim>;

/** The cloud's hosts but for the one that has been there from the start, the router's. */
async function others(paas: Platform): Promise<{ id: number; ips: string[] }[]> {
  return (await paas.cloudHosts()).sort((a, b) => a.id - b.id).slice(1);
}
const addressOf = (command: string): string => /--address (\S+)/.exec(command)?.[1] ?? '';

/** A manifest with every step there is: a build, a release command, two process types. */
const manifest = (name: string): string => `name: ${name}
build: echo built > built.txt
release: echo released
processes:
  web: { command: node server.js, memory: 300M }
  worker: { command: "echo works; exec sleep 1000", memory: 300M }
`;

/**
 * Pushes a new app, kills the victim as soon as `steps` events of it are recorded, and insists that the push comes to its
 * end, that nothing is lost, that nothing was made twice, and that nothing is left when the app is removed.
 * @returns the kinds of events before the kill
 */
export async function pushAndKill(paas: Platform, name: string, victim: Victim, steps: number): Promise<string[]> {
  const cwd = paas.source('probe', { 'paas.yml': manifest(name), 'unique.txt': name });
  const { told, seen } = await killedPush(paas, name, { cwd, victim, steps });
  expect(victim.exits, told.toString()).toContain(told.code);
  if (told.code === 7)
    expect(told.error).toMatchObject({ code: 'host_failed', hint: expect.stringContaining('again') });
  const releases = told.code === 7 ? 2 : 1;
  const again = await paas.json<{ release: number }>(['push'], { cwd });
  expect(again.release).toBe(releases);
  // A host that was lost a moment ago is missed only now.
  const rows = await paas.settled(name, { web: 1, worker: 1 }, 60_000);
  expect(rows.map((row) => row.name).sort()).toEqual(['web.1', 'worker.1']);
  expect((await paas.serves(name, 'version 1', '/', 60_000)).text).toBe('version 1');
  expect((await paas.get(name, '/look?path=built.txt')).text).toBe('built\n');
  const said = await paas.waitFor('its first words', async () => {
    const lines = (await paas.logs(name, '-n', 'all')).map(({ line }) => line);
    return lines.includes('version 1 listens') && (releases === 1 || lines.includes('released')) && lines;
  });
  const times = (text: string): number => said.filter((line) => line === text).length;
  // Its last words went with its host, or it said them.
  expect([releases - 1, releases], said.join('\n')).toContain(times('released'));
  expect(times('version 1 listens'), said.join('\n')).toBeLessThanOrEqual(victim.starts);
  expect(await paas.json(['releases', '-a', name])).toHaveLength(releases);
  await paas.ok(['destroy', name, '--yes']);
  if (victim.newHosts) await removeHosts(paas);
  else await hostsAgree(paas);
  return seen;
}

/** What is told late of the app before, or of its hosts, is no event of this push. */
const isOf = (name: string, { app, kind }: EventRow): boolean =>
  app === name || (app === null && ofHosts.includes(kind));

async function killedPush(
  paas: Platform,
  name: string,
  { cwd, victim, steps }: { cwd: string; victim: Victim; steps: number },
): Promise<{ told: CliResult; seen: string[] }> {
  const events = paas.start(['events', '--all', '-t', '-n', '1', '--json']);
  await paas.waitFor('the events to flow', () => events.lines.length > 0);
  const from = events.lines.length;
  const push = paas.start(['push', '--json'], { cwd });
  let told: CliResult | undefined;
  void push.exited.then((result) => (told = result));
  const fresh = (): EventRow[] => {
    const all = events.lines.slice(from).map((line) => JSON.parse(line) as EventRow);
    return all.filter((event) => isOf(name, event));
  };
  // Its last event may be here before that, where an instance was healthy when its agent first told of it; or later than its end.
  const isEnough = (): boolean => fresh().length >= steps || fresh().some(({ kind }) => kind.startsWith('deployment.'));
  await paas.waitFor(
    `${steps} events of the push`,
    () => {
      if (isEnough()) return true;
      throw new Error(`${fresh().length} so far; ${told?.toString() ?? 'the push goes on'}`);
    },
    60_000,
  );
  const seen = fresh().map(({ kind }) => kind);
  await victim.kill(paas);
  await events.interrupt();
  await victim.mend?.(paas);
  return { told: await push.exited, seen };
}

async function removeHosts(paas: Platform): Promise<void> {
  const hosts = (await paas.json<HostRow[]>(['hosts'])).filter(({ roles }) => roles.includes('compute'));
  for (const host of hosts) {
    const removed = await paas.cli(['hosts', 'remove', host.name, '--yes']);
    // One that was lost goes by itself.
    expect([0, 5], removed.toString()).toContain(removed.code);
  }
  // Asking the cloud costs a test next to nothing, a command a process each time.
  await paas.waitFor('the hosts to be gone at the cloud', async () => (await paas.cloudHosts()).length === 1, 60_000);
  await paas.waitFor('the hosts to be gone', async () => {
    const left = (await paas.json<HostRow[]>(['hosts'])).map((host) => `${host.name} ${host.state}`);
    expect(left).toEqual([expect.stringContaining('ready')]);
    return true;
  });
}

/** Every host of the platform is one of the cloud's and the other way round. */
async function hostsAgree(paas: Platform): Promise<void> {
  await paas.waitFor('platform and cloud to have the same hosts', async () => {
    const known = (await paas.json<HostRow[]>(['hosts'])).map(({ cloudId }) => cloudId).sort();
    const there = (await paas.cloudHosts()).map(({ id }) => String(id)).sort();
    return JSON.stringify(known) === JSON.stringify(there);
  });
}

export const platformForKills = { flags: ['--max-hosts', '4', '--host-memory', '600M'] };

/** The tests of one victim: a push is killed after each event that it records, and before the first. */
export function survivesKills(name: keyof typeof victims, victim: Victim, platform: () => Platform): void {
  describe(`a kill of ${name} in the middle of a push`, () => {
    const kinds = new Set<string>();

    it.each(victim.steps)('after %i events loses nothing and makes nothing twice', async (steps) => {
      const app = `${name.replace(/^the /, '').replaceAll(' ', '-')}-${steps}`;
      for (const kind of await pushAndKill(platform(), app, victim, steps)) kinds.add(kind);
    });

    it('has been tried at every kind of step', () => {
      const ofPush = ['app.push', 'build.started', 'instance.starting', 'instance.finished', 'instance.healthy'];
      expect([...kinds]).toEqual(expect.arrayContaining([...(victim.newHosts ? ofHosts : []), ...ofPush]));
    });
  });
}
