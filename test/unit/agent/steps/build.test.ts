import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BuildStep } from '../../../../src/shared/contracts/steps.ts';
import { listProcesses } from '../../../../src/shared/processes.ts';
import { AgentProcess } from '../../../support/running-agent.ts';
import { FakeControl } from '../../../support/fake-control.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let control: FakeControl;
let agent: AgentProcess;
beforeEach(async () => {
  control = await new FakeControl().start();
  agent = await AgentProcess.create({ controlUrl: control.url });
  agent.env = { HTTP_PROXY: 'http://proxy.test:3128', AGENT_SECRET: 'hush-hush' };
  agent.start();
  await control.untilLinked();
});
afterEach(async () => {
  await agent.destroy();
  await control.stop();
});

const run = (line: string, more: Partial<BuildStep['commands'][number]> = {}) => ({
  name: line,
  run: line,
  env: {},
  ...more,
});
const step = (id: string, commands: BuildStep['commands'], more: Partial<BuildStep> = {}): BuildStep => ({
  kind: 'build',
  id,
  app: { id: 'app_1', name: 'shop', project: 'default', environment: 'dev' },
  source: control.trees.addTree({
    'src/main.txt': 'source',
    'run.sh': { text: 'echo from the script\n', mode: 0o755 },
  }),
  base: { name: 'host', digest: '0'.repeat(64) },
  needs: [],
  commands,
  files: {},
  sharedCaches: {},
  memoryMb: 512,
  timeoutMs: 30_000,
  ...more,
});
const build = async (id: string, commands: BuildStep['commands'], more: Partial<BuildStep> = {}) => {
  control.send({ type: 'step', step: step(id, commands, more) });
  return control.result(id);
};
const built = async (id: string, commands: BuildStep['commands'], more: Partial<BuildStep> = {}) => {
  const result = await build(id, commands, more);
  expect(result).toMatchObject({ ok: true });
  return control.trees.readTree(result.tree!);
};

describe('a build', () => {
  it('runs its commands and answers the output tree, which it has sent', async () => {
    const files = await built(
      'bld_1',
      [run('sh ./run.sh > made.txt'), run('mkdir -p out && ln -s ../made.txt out/link')],
      {
        files: { '.paas/start': { text: 'start me', mode: 0o755 } },
      },
    );
    expect(files).toEqual({
      '.paas/start': 'start me',
      'made.txt': 'from the script\n',
      'out/link': '-> ../made.txt',
      'run.sh': 'echo from the script\n',
      'src/main.txt': 'source',
    });
  });

  it('streams the output, each command announced, errors in their place', async () => {
    await built('bld_1', [run('echo one; echo oops >&2; echo two'), run('printf "no newline"')]);
    expect(control.output('bld_1')).toBe(
      '-----> echo one; echo oops >&2; echo two\none\noops\ntwo\n-----> printf "no newline"\nno newline',
    );
    expect(control.blocks[0]?.header).toMatchObject({
      source: 'build',
      processType: 'build',
      appId: 'app_1',
      release: null,
    });
    await control.until(() => !existsSync(join(agent.data, 'builds', 'bld_1')), 'its directory to be removed');
  });

  it('gives commands proxies, a home of their own and what the recipe says, but nothing of the agent', async () => {
    const files = await built('bld_1', [
      run('env > env.txt; echo x > "$HOME/kept"; ls -a > ls.txt', { env: { EXTRA: 'yes' } }),
    ]);
    expect(files['env.txt']).toContain('HTTP_PROXY=http://proxy.test:3128');
    expect(files['env.txt']).toContain('EXTRA=yes');
    expect(files['env.txt']).not.toContain('hush-hush');
    expect(files['ls.txt']).not.toContain('kept');
  });

  it('says what failed and how, and keeps the agent', async () => {
    expect(await build('bld_1', [run('true'), run('echo broken; exit 3'), run('echo never')])).toMatchObject({
      ok: false,
      error: { code: 'build_failed', message: '`echo broken; exit 3` ended with exit code 3' },
    });
    expect(control.output('bld_1')).not.toContain('never');
  });

  it('says which tool is missing before anything starts', async () => {
    const result = await build('bld_1', [run('echo started')], {
      needs: [{ tool: 'no-such-tool', reason: 'this app has a no-such.lock' }],
    });
    expect(result.error).toMatchObject({ code: 'tool_missing' });
    expect(result.error?.message).toBe('no-such-tool not found on host h1: this app has a no-such.lock');
    expect(control.output('bld_1')).toBe('');
  });

  it('is stopped with all its processes when it takes too long', async () => {
    const result = await build('bld_1', [run('setsid sleep 87654 & sleep 87654')], { timeoutMs: 500 });
    expect(result.error).toMatchObject({ code: 'build_failed', message: expect.stringContaining('longer than') });
    expect(sleepers('87654')).toBe(0);
  });

  it('keeps its files from all other users while it runs', async () => {
    control.send({ type: 'step', step: step('bld_1', [run('echo up; sleep 87651')]) });
    await control.until(() => control.output('bld_1').includes('up'), 'its start');
    expect(statSync(join(agent.data, 'builds', 'bld_1', 'app')).mode & 0o777).toBe(0o700);
    control.send({ type: 'stepCancel', id: 'bld_1' });
    await control.result('bld_1');
  });

  it('is cancelled on request', async () => {
    control.send({ type: 'step', step: step('bld_1', [run('echo up; sleep 87653')]) });
    await control.until(() => control.output('bld_1').includes('up'), 'its start');
    control.send({ type: 'stepCancel', id: 'bld_1' });
    expect(await control.result('bld_1')).toMatchObject({ ok: false, error: { code: 'interrupted' } });
    expect(sleepers('87653')).toBe(0);
  });

  it('may not use more memory than it has', async () => {
    const hog = `node -e 'const a=[]; setInterval(() => a.push(Buffer.alloc(1e7, 1)), 20)'`;
    const result = await build('bld_1', [run(hog, { name: 'hog' })], { memoryMb: 128 });
    expect(result.error).toMatchObject({ code: 'build_failed', message: expect.stringContaining('128 MB') });
  });

  it('writes the files of the stack where they belong, whatever the build put in their way', async () => {
    const outside = join(agent.root, 'outside');
    writeFileSync(outside, 'untouched');
    const files = await built('bld_1', [run(`rm -rf .paas && ln -s ${agent.root} .paas && ln -sf ${outside} file`)], {
      files: { '.paas/outside': { text: 'inside', mode: 0o644 }, file: { text: 'real', mode: 0o644 } },
    });
    expect(files).toMatchObject({ '.paas/outside': 'inside', file: 'real' });
    expect(readFileSync(outside, 'utf8')).toBe('untouched');
  });
});

describe('caches', () => {
  it('puts directories back under the same key instead of running the command', async () => {
    const install = run('date +%N > modules.txt; mkdir -p modules/x; cp modules.txt modules/x; rm modules.txt', {
      name: 'install',
      cache: { key: 'k1', paths: ['modules', 'never-made'] },
    });
    const first = await built('bld_1', [install, run('cat modules/x/modules.txt > seen.txt')]);
    const second = await built('bld_2', [install, run('cat modules/x/modules.txt > seen.txt')]);
    expect(second).toEqual(first);
    expect(control.output('bld_2')).toContain('-----> install (nothing changed: kept from an earlier build)');
    const other = await built('bld_3', [{ ...install, cache: { key: 'k2', paths: ['modules'] } }]);
    expect(other['modules/x/modules.txt']).not.toBe(first['modules/x/modules.txt']);
  });

  it('never crosses projects', async () => {
    const install = run('date +%N > made', { name: 'install', cache: { key: 'k1', paths: ['made-dir'] } });
    await built('bld_1', [install]);
    await built('bld_2', [install], { app: { id: 'app_2', name: 'shop', project: 'other', environment: 'dev' } });
    expect(control.output('bld_2')).toBe('-----> install\n');
  });

  it('runs the command again when what was kept is damaged', async () => {
    const install = run('mkdir -p modules; echo content-of-modules > modules/a', {
      name: 'install',
      cache: { key: 'k1', paths: ['modules'] },
    });
    await built('bld_1', [install]);
    const trees = join(agent.data, 'trees');
    for (const name of readdirSync(trees).filter((file) => file.endsWith('.pack'))) {
      const bytes = readFileSync(join(trees, name));
      for (let at = bytes.indexOf('content-of-modules'); at >= 0; at = bytes.indexOf('content-of-modules', at + 1))
        bytes[at] = 0;
      writeFileSync(join(trees, name), bytes);
    }
    expect((await built('bld_2', [install]))['modules/a']).toBe('content-of-modules\n');
  });

  it('shares a directory among the builds of a project', async () => {
    const sharedCaches = { npm: 'npm_config_cache' };
    await built('bld_1', [run('echo downloaded > "$npm_config_cache/package"')], { sharedCaches });
    const files = await built('bld_2', [run('cat "$npm_config_cache/package" > found')], { sharedCaches });
    expect(files['found']).toBe('downloaded\n');
  });
});

describe('the journal', () => {
  it('answers a step that it knows with the stored result, and forgets it when told', async () => {
    const once = step('bld_1', [run('date +%N > stamp')]);
    control.send({ type: 'step', step: once });
    const first = await control.result('bld_1');
    await agent.end('SIGKILL');
    control.messages.length = 0;
    agent.start();
    const hello = await control.until(() => control.messages.find((message) => message.type === 'hello'), 'a hello');
    expect(hello.stepResults).toEqual([first]);
    control.messages.length = 0;
    await control.untilLinked();
    control.send({ type: 'step', step: once });
    expect(await control.result('bld_1')).toEqual(first);
    control.send({ type: 'stepAck', id: 'bld_1' });
    await control.until(() => readdirSync(join(agent.data, 'steps')).length === 0, 'an empty journal');
  });

  it('reports a build that was under way when the agent was killed, and ends its processes', async () => {
    control.send({ type: 'step', step: step('bld_1', [run('echo up; sleep 87652')]) });
    await control.until(() => control.output('bld_1').includes('up'), 'its start');
    await agent.end('SIGKILL');
    agent.start();
    expect(await control.result('bld_1')).toMatchObject({ ok: false, error: { code: 'host_failed' } });
    expect(sleepers('87652')).toBe(0);
    await control.until(() => !existsSync(join(agent.data, 'builds', 'bld_1')), 'its directory to be removed');
  });
});

function sleepers(argument: string): number {
  return listProcesses().filter(({ pid, state }) => {
    try {
      return state !== 'Z' && readFileSync(`/proc/${pid}/cmdline`, 'latin1') === `sleep\0${argument}\0`;
    } catch {
      return false;
    }
  }).length;
}
