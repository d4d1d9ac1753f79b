import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openLog } from '../../../src/localcloud/log.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-cloud-log-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('writes a JSON object a line, and keeps the file bounded', () => {
  const path = join(directory, 'cloud.log');
  const log = openLog(path);
  for (let line = 0; line < 130; line++) log('info', 'x'.repeat(100_000), { line });
  const last = JSON.parse(readFileSync(path, 'utf8').trim().split('\n').at(-1)!) as { level: string; line: number };
  expect(last).toMatchObject({ level: 'info', line: 129 });
  for (const file of [path, `${path}.1`]) {
    expect(statSync(file).size).toBeLessThan(6 * 1024 * 1024);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  }
});
