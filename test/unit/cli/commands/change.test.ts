import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatFormation } from '../../../../src/shared/units.ts';
import { deployment, ended, events, harness, shop } from './support.ts';

const cli = harness();
const stream = (kind: string, message: string) =>
  ['progress', { ts: '', kind, message, details: {} }] as [string, unknown];

describe('a change that is rolled out', () => {
  const restart = { deployment: deployment({ kind: 'restart', state: 'rolling' }) };
  const path = `${shop}/deployments/dep_1/stream`;

  it('is watched to its end: what happens on stderr, the end on stdout', async () => {
    cli.api({
      [`POST ${shop}/restart`]: restart,
      [`GET ${path}`]: events(stream('instance.healthy', 'web.1 of v2 is healthy'), ['end', ended()]),
    });
    const { code, stdout, stderr } = await cli.paas(['restart', 'web.1', '-a', 'shop']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'Restarted web.1.\n' });
    expect(stderr).toContain('Restarting\nweb.1 of v2 is healthy\n');
    expect(cli.body('POST')).toEqual({ instance: 'web.1' });
  });
  it('that fails exits with the code of the failure, its reason and the last lines', async () => {
    const error = {
      code: 'unhealthy',
      message: 'web.1 exited with code 3.',
      hint: 'v1 still serves.',
      details: { instance: 'web.1', lastLines: ['boom'] },
    };
    cli.api({ [`POST ${shop}/restart`]: restart, [`GET ${path}`]: events(['end', ended({ state: 'failed', error })]) });
    const { code, stderr } = await cli.paas(['restart', '-a', 'shop']);
    expect(code).toBe(8);
    expect(stderr).toContain(
      'Error: web.1 exited with code 3.\n  v1 still serves.\n  Last lines of web.1:\n    | boom\n',
    );
  });
  it.each(['cancelled', 'superseded'] as const)('that was %s is a conflict', async (state) => {
    cli.api({ [`POST ${shop}/restart`]: restart, [`GET ${path}`]: events(['end', ended({ state })]) });
    expect((await cli.paas(['restart', '-a', 'shop'])).code).toBe(6);
  });
  /** A deployment that takes longer than anybody waits. */
  const endless = (answer: object): void =>
    cli.platform.handle((seen, response) => {
      if (seen.method !== 'GET') response.end(JSON.stringify(answer));
      else response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(': hello\n\n');
    });
  it('is left alone after --timeout, and said how to see and to cancel it', async () => {
    endless({ deployment: { ...restart.deployment, rollout: { id: 'rol_1', state: 'running' } } });
    const { code, stderr } = await cli.paas(['restart', '-a', 'shop', '--timeout', '50ms']);
    expect(code).toBe(9);
    expect(stderr).toContain('it goes on');
    expect(stderr).toContain('`paas rollout status -a shop` shows it, `paas rollout cancel -a shop` takes it back.');
  });
  it.each([
    ['scale', ['scale', 'web=3'], '`paas scale -a shop PROCESS=N` sets another number.'],
    ['stop', ['stop'], '`paas start -a shop` starts it again.'],
    ['start', ['start'], '`paas stop -a shop` stops it again.'],
    ['restart', ['restart', 'web.1'], '`paas ps -a shop` shows it.'],
  ] as const)('that is a %s without a rollout is not cancelled with that of a colleague', async (kind, argv, hint) => {
    const formation = { web: { kind: 'web', instances: 3, memoryMb: 512, cpu: null, schedule: null } };
    endless({ formation, deployment: deployment({ kind, state: 'rolling' }) });
    const { code, stderr } = await cli.paas([...argv, '-a', 'shop', '--timeout', '50ms']);
    expect(code).toBe(9);
    expect(stderr).toContain(hint);
    expect(stderr).not.toContain('rollout cancel');
  });
  it('is left alone on Ctrl-C too', async () => {
    const shown = new Promise<void>((resolve) => {
      cli.platform.handle((seen, response) => {
        if (seen.method === 'POST') return response.end(JSON.stringify(restart));
        response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(': hello\n\n');
        resolve();
      });
    });
    const running = cli.paas(['restart', '-a', 'shop', '--json']);
    await shown;
    process.emit('SIGINT');
    const { code, json } = await running;
    expect(code).toBe(130);
    expect(json()).toMatchObject({ error: { code: 'interrupted', details: { deployment: 'dep_1' } } });
  });
  it.each(['25h', '30d', '60d'])('is not waited for %s, which no timer holds for sure', async (timeout) => {
    const { code, stderr } = await cli.paas(['restart', '-a', 'shop', '--timeout', timeout]);
    expect({ code, asked: cli.asked() }).toEqual({ code: 2, asked: [] });
    expect(stderr).toContain(`--timeout: \`${timeout}\` is longer than 1d.`);
  });
  it('is not waited for with --no-wait', async () => {
    cli.api({ [`POST ${shop}/restart`]: restart });
    expect((await cli.paas(['restart', '-a', 'shop', '--no-wait', '--json'])).json()).toMatchObject({
      changed: true,
      state: 'rolling',
      deployment: 'dep_1',
    });
  });
});

describe('scale', () => {
  const formation = {
    web: { kind: 'web', instances: 2, memoryMb: 1024, cpu: 0.5, schedule: null },
    worker: { kind: 'worker', instances: 0, memoryMb: 512, cpu: null, schedule: null },
    nightly: { kind: 'cron', instances: 0, memoryMb: 512, cpu: null, schedule: '0 3 * * *' },
  };
  it('alone prints what it takes back', async () => {
    cli.api({ [`GET ${shop}/formation`]: formation, [`PATCH ${shop}/formation`]: { formation, deployment: null } });
    const { stdout } = await cli.paas(['scale', '-a', 'shop']);
    expect(stdout).toBe('web=2 worker=0 --memory web=1G --cpu web=0.5 --memory worker=512M --memory nightly=512M\n');
    expect((await cli.paas(['scale', '-a', 'shop', ...stdout.trim().split(' ')])).stdout).toBe(
      `Nothing changed: ${formatFormation([
        ['web', 2],
        ['worker', 0],
      ])}\n`,
    );
    expect(cli.body('PATCH')).toEqual({
      processes: {
        web: { instances: 2, memoryMb: 1024, cpu: 0.5 },
        worker: { instances: 0, memoryMb: 512 },
        nightly: { memoryMb: 512 },
      },
    });
  });
  it('sends changes as changes', async () => {
    cli.api({ [`PATCH ${shop}/formation`]: { formation, deployment: null } });
    await cli.paas(['scale', '-a', 'shop', 'my-worker-1', 'web+2', '--cpu', 'web=none']);
    expect(cli.body('PATCH')).toEqual({ processes: { 'my-worker': { delta: -1 }, web: { delta: 2, cpu: null } } });
    expect((await cli.paas(['scale', '-a', 'shop', 'web=1', 'web+1'])).code).toBe(2);
  });
});

describe('config set', () => {
  const unchanged = { version: 1, changed: [], deployment: null };
  it('takes values from words, files and standard input, and never prints one', async () => {
    const file = join(cli.home, 'value');
    writeFileSync(file, 'from a file\n');
    cli.api({ [`PATCH ${shop}/config`]: { version: 2, changed: ['A', 'B', 'C'], deployment: null } });
    const { stdout, stderr } = await cli.paas(
      ['config', 'set', 'A=a=b', `B=@${file}`, 'C=-', '--no-restart', '-a', 'shop'],
      { input: 'two\nlines\n' },
    );
    expect(cli.body('PATCH')).toEqual({ set: { A: 'a=b', B: 'from a file', C: 'two\nlines' }, restart: false });
    expect(stdout).toBe('Changed A, B, C; the next release takes it up.\n');
    expect(stdout + stderr).not.toMatch(/from a file|lines/);
  });
  it.each([
    [['A'], '`A` has no value'],
    [['1A=x'], 'no name of a config value'],
    [['A=1', 'A=2'], 'A is given twice'],
    [['A=-', 'B=-'], 'cannot both be read from standard input'],
    [['A=@/nowhere/at/all'], 'there is no such file'],
  ])('%j is refused before anything is sent', async (words, message) => {
    cli.api({ [`PATCH ${shop}/config`]: unchanged });
    const { code, stderr } = await cli.paas(['config', 'set', ...words, '-a', 'shop']);
    expect(code).toBeGreaterThan(1);
    expect(stderr).toContain(message);
    expect(cli.asked()).toEqual([]);
  });
});

describe('what cannot be undone', () => {
  it('needs --yes where nobody can be asked', async () => {
    cli.api({ [`GET ${shop}`]: { name: 'shop', instances: { desired: 1, healthy: 1 } } });
    const { code, stderr } = await cli.paas(['destroy', 'shop']);
    expect(code).toBe(2);
    expect(stderr).toContain('Confirm it with `--yes`.');
    expect(cli.asked()).toEqual([`GET ${shop}`]);
  });
  it('is done with it, and waited for', async () => {
    let left = 2;
    cli.platform.handle((seen, response) => {
      const isGone = seen.method === 'GET' && left-- === 0;
      const body = isGone
        ? { error: { code: 'not_found', message: 'gone', hint: '', details: {} } }
        : { name: 'shop', instances: { desired: 1, healthy: 1 } };
      response.writeHead(isGone ? 404 : 200).end(JSON.stringify(body));
    });
    expect(await cli.paas(['destroy', 'shop', '--yes'])).toMatchObject({
      code: 0,
      stdout: 'default/dev/shop is removed.\n',
    });
    expect(cli.asked().filter((line) => line.startsWith('DELETE'))).toEqual([`DELETE ${shop}`]);
  });
  it('goes on after Ctrl-C, with how to see whether it is done', async () => {
    cli.api({
      [`GET ${shop}`]: { name: 'shop', instances: { desired: 1, healthy: 1 } },
      [`DELETE ${shop}`]: () => (process.emit('SIGINT'), {}),
    });
    const { code, stderr } = await cli.paas(['destroy', 'shop', '--yes']);
    expect(code).toBe(130);
    expect(stderr).toContain('It goes on; `paas app -a shop` shows');
  });
});

describe('Ctrl-C while a change is being asked for', () => {
  const gray = { stable: 1, rules: [], releases: {}, rollout: null };
  it.each([
    [['rollout', 'cancel'], `POST ${shop}/rollout/cancel`, { rollout: null, deployment: null }, 'taken back'],
    [['gray', 'add', '--to', 'v2', '--match', 'percent:5'], `POST ${shop}/gray`, gray, 'no gray rules'],
    [
      ['run', '--detach', '--', 'x'],
      `POST ${shop}/sessions`,
      { session: null, path: null, instance: 'run.4' },
      'run.4',
    ],
  ] as const)('leaves no doubt whether it was made: %j', async (argv, key, answer, said) => {
    cli.api({ [key]: () => (process.emit('SIGINT'), answer) });
    const { stdout } = await cli.paas([...argv], { env: { PAAS_APP: 'shop' } });
    expect(stdout).toContain(said);
  });
});
