import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StepJournal } from '../../../../src/agent/steps/journal.ts';
import { createStepRunner, type StepDrivers, type StepRunner } from '../../../../src/agent/steps/runner.ts';
import type { Step, StepResult } from '../../../../src/shared/contracts/steps.ts';
import { eventually } from '../../../support/eventually.ts';

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
const step = { kind: 'router-check', id: 'chk_1' } as Step;

let directory: string;
let sent: StepResult[];
let runner: StepRunner;

let end: () => void;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-steps-'));
  sent = [];
  const driver = {
    run: () => new Promise((resolve) => (end = () => resolve({}))),
    clear: () => Promise.resolve(),
  };
  const journal = new StepJournal(directory, quiet);
  runner = createStepRunner({
    drivers: { build: driver, 'router-check': driver } as unknown as StepDrivers,
    journal,
    log: quiet,
    hostName: 'h1',
    onResult: (result) => sent.push(result),
  });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('says that a step cannot be taken up', () => {
  rmSync(directory, { recursive: true });
  runner.submit(step);
  expect(sent).toMatchObject([{ id: 'chk_1', ok: false, error: { message: expect.stringContaining('host h1') } }]);
  expect(runner.running()).toEqual([]);
  expect(runner.results()).toEqual([]);
});

it('sends a result that it cannot store, again until it is acknowledged', async () => {
  runner.submit(step);
  rmSync(directory, { recursive: true });
  end();
  await eventually(() => sent).toMatchObject([{ id: 'chk_1', ok: true }]);
  await eventually(() => runner.running()).toEqual([]);
  expect(runner.results()).toEqual(sent);
  runner.submit(step);
  expect(sent).toHaveLength(2);
  runner.acknowledge('chk_1');
  expect(runner.results()).toEqual([]);
});
