import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lastDue, reconcileCron } from '../../../../src/control/reconcile/cron.ts';
import * as life from '../../../support/app-life.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';

const at = (time: string): number => Date.parse(`2026-03-01T${time}Z`);

describe('when a schedule was due last', () => {
  it.each([
    ['0 3 * * *', '03:00:00', '03:00:00'],
    ['0 3 * * *', '03:00:59', '03:00:00'],
    ['0 3 * * *', '02:59:59', null],
    ['0 3 * * *', '03:01:00', null],
    ['*/5 * * * *', '10:07:00', null],
    ['* * * * *', '10:07:30', '10:07:00'],
  ])('%s at %s', (schedule, now, due) => {
    expect(lastDue(schedule, at(now))).toBe(due === null ? null : at(due));
  });

  it('is a whole minute within the last one, if at all', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 4e12 }), (minute, now) => {
        const due = lastDue(`${minute} * * * *`, now);
        if (due === null) return;
        expect(due % 60_000).toBe(0);
        expect(now - due).toBeGreaterThanOrEqual(0);
        expect(now - due).toBeLessThan(60_000);
      }),
    );
  });
});

describe('schedules', () => {
  let control: TestControl;
  let world: life.Life;
  const push = (schedule: string, name = 'shop') =>
    life.pushApp(world, { name, spec: { processes: { nightly: { kind: 'cron', command: './run', schedule } } } });
  beforeEach(async () => {
    control = await makeControl();
    await addHost(control, 'h1');
    world = { control, router: await addRouter(control) };
  });
  afterEach(() => control.close());
  const runs = async () =>
    (await control.store.db.selectFrom('instances').selectAll().orderBy('ordinal').execute()).map(
      (row) => `${row.process_type}.${row.ordinal} v${row.release} ${row.host_id ?? 'waits'}`,
    );

  it('start a run once, when it is due, and not before they were there', async () => {
    await push('0 3 * * *');
    await reconcileCron(control, at('03:00:10'));
    expect(await runs()).toEqual([]);
    const next = at('03:00:05') + 24 * 3600_000;
    await reconcileCron(control, next);
    await reconcileCron(control, next + 1000);
    expect(await runs()).toEqual(['nightly.1 v1 h1']);
    await reconcileCron(control, next + 24 * 3600_000);
    expect(await runs()).toEqual(['nightly.1 v1 h1', 'nightly.2 v1 h1']);
    const started = (await control.events.list({})).filter(({ kind }) => kind === 'cron.started');
    expect(started).toHaveLength(2);
  });

  it('of a stopped app do not run', async () => {
    await push('* * * * *');
    await reconcileCron(control, at('03:00:00'));
    await control.store.db.updateTable('apps').set({ state: 'stopped' }).execute();
    await reconcileCron(control, at('03:01:00'));
    expect(await runs()).toEqual([]);
  });

  it('start no run while the last one waits for a host, and say so', async () => {
    const spec = { processes: { nightly: { kind: 'cron', command: './run', schedule: '* * * * *', memoryMb: 4000 } } };
    await life.pushApp(world, { spec });
    for (const minute of ['00', '01', '02', '03', '04']) await reconcileCron(control, at(`03:${minute}:00`));
    expect(await runs()).toEqual(['nightly.1 v1 h1', 'nightly.2 v1 waits']);
    const skipped = (await control.events.list({})).filter(({ kind }) => kind === 'cron.skipped');
    expect(skipped.map(({ message }) => message)).toEqual([
      expect.stringMatching(/nightly was left out.*nightly\.2.*waits for a host/),
      expect.stringMatching(/nightly\.2/),
    ]);
    await addHost(control, 'h2');
    await reconcileCron(control, at('03:05:00'));
    await control.placeOnce((await control.store.db.selectFrom('instances').selectAll().execute())[1]!);
    await reconcileCron(control, at('03:06:00'));
    expect(await runs()).toEqual(['nightly.1 v1 h1', 'nightly.2 v1 h2', 'nightly.3 v1 waits']);
  });

  it('are refused with the push when they are none', async () => {
    const failed = await push('every now and then');
    expect(JSON.parse(failed.error!)).toMatchObject({
      code: 'manifest_invalid',
      message: expect.stringContaining('nightly') as string,
    });
  });

  it('that are damaged hold up no others', async () => {
    await push('* * * * *', 'broken');
    await push('* * * * *', 'sound');
    await reconcileCron(control, at('03:00:00'));
    const release = await control.store.db.selectFrom('releases').selectAll().execute();
    const processes = release[0]!.processes.replace('* * * * *', 'nonsense');
    await control.store.db
      .updateTable('releases')
      .set({ processes })
      .where('app_id', '=', release[0]!.app_id)
      .execute();
    await reconcileCron(control, at('03:01:00'));
    expect(await runs()).toEqual(['nightly.1 v1 h1']);
    expect(control.errors).toHaveLength(1);
  });
});
