/**
 * A host of which one file was cut off while its agent was dead, for every file of the agent's data: the next agent mends
 * it, or says by name what is wrong. What runs goes on.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockHolder } from '../../src/shared/lock-file.ts';
import { FakeControl } from '../support/fake-control.ts';
import { killNow } from '../support/platform.ts';
import { AgentProcess, workerSpec } from '../support/running-agent.ts';

let control: FakeControl;
let agent: AgentProcess;
const table = {
  ...{ version: 3, tcp: [], http: [{ host: 'shop.localhost', path: '/', backend: 'b' }] },
  backends: { b: { app: 'default/dev/shop', appId: 'app_1', state: 'stopped' as const, endpoints: [] } },
};

beforeEach(async () => {
  control = await new FakeControl().start();
  agent = await AgentProcess.create({
    controlUrl: control.url,
    roles: ['compute', 'build', 'router'],
    router: { driver: 'embedded', address: '127.0.0.1', port: 0 },
  });
  agent.start();
  await control.untilLinked();
  control.assign([workerSpec(control, 'ins_1'), workerSpec(control, 'ins_2', { name: 'worker.2' })]);
  control.send({ type: 'table', table });
  await control.healthy('ins_1');
  await control.healthy('ins_2');
  await routed();
});
afterEach(async () => {
  await agent.destroy();
  await control.stop();
});

const routed = (since = 0, what = '') =>
  control.until(
    () => control.messages.slice(since).some((m) => m.type === 'router' && m.status.version === table.version),
    `the table in force ${what}`,
  );

/** All but the app's own files, and what belongs to a process that runs. */
const filesOf = (): string[] =>
  readdirSync(agent.data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(agent.data, join(entry.parentPath, entry.name)))
    .filter((name) => !/^instances\/[^/]+\/(app|tmp)\/|\.damaged$/.test(name))
    .sort();

/** Without these a host is not who it was, or not of this version: a person has to look. */
const refused = new Set(['key.json', 'format.json']);

describe('a host', () => {
  it('goes on with any one of its files cut off', async () => {
    const names = filesOf();
    for (const name of [
      'assignment.json',
      'key.json',
      'format.json',
      'router/table.json',
      'instances/ins_1/record.json',
    ])
      expect(names).toContain(name);
    for (const name of names) {
      const path = join(agent.data, name);
      await agent.end('SIGKILL');
      // Its last words were on their way when it died.
      await control.until(() => !control.linked, 'the link to be down');
      // What an earlier cut has mended may be another file now, and what was there for a moment is gone.
      if (!existsSync(path) || statSync(path).size === 0) continue;
      // A router that lives has written its files whole; what is cut off was left by one that died.
      const router = name.startsWith('router/') && lockHolder(join(agent.data, 'router', 'router.lock'));
      if (router) await killNow([router.pid]);
      const copy = join(agent.root, 'kept', name);
      mkdirSync(dirname(copy), { recursive: true });
      copyFileSync(path, copy);
      truncateSync(path, Math.floor(statSync(path).size / 2));
      const seen = control.messages.length;
      const logged = agent.log.length;
      agent.start();
      if (refused.has(name)) {
        expect(await agent.exited(), name).toBe(1);
        expect(agent.log.slice(logged)).toContain(path);
        expect(statSync(path).size).toBe(Math.floor(statSync(copy).size / 2));
        copyFileSync(copy, path);
        agent.start();
      }
      const reports = () => control.messages.slice(seen).flatMap((m) => (m.type === 'report' && m.full ? [m] : []));
      await control.until(
        () =>
          reports().some(({ instances }) => instances.length === 2 && instances.every((i) => i.state === 'healthy')),
        `both instances healthy after ${name} was cut off:\n${agent.log.slice(logged)}`,
      );
      if (name.startsWith('router/')) {
        control.send({ type: 'table', table });
        await routed(seen, `after ${name} was cut off:\n${agent.log.slice(logged)}`);
      }
      expect(agent.log.slice(logged), name).not.toContain('a failure that nobody handled');
    }
  }, 400_000);
});
