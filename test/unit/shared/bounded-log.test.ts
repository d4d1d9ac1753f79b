import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { boundedLog } from '../../../src/shared/bounded-log.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-log-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('keeps the newest lines of a log that is written for ever, in the file that was opened', () => {
  const path = join(directory, 'a.log');
  writeFileSync(path, 'from an earlier run\n');
  const fd = openSync(path, 'a');
  const log = boundedLog(path, (line) => void writeSync(fd, line), 1000, fd);
  for (let i = 0; i < 1000; i++) {
    log(`line ${i}\n`);
    expect(statSync(path).size).toBeLessThan(1100);
  }
  closeSync(fd);
  expect(statSync(`${path}.1`).size).toBeLessThan(1100);
  const lines = (readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8')).trimEnd().split('\n');
  expect(lines.length).toBeGreaterThan(100);
  expect(lines).toEqual(Array.from(lines, (_, i) => `line ${1000 - lines.length + i}`));
});

it('goes on where the old lines cannot be kept', () => {
  const path = join(directory, 'a.log');
  const fd = openSync(path, 'a');
  const log = boundedLog(join(directory, 'missing', 'a.log'), (line) => void writeSync(fd, line), 10, fd);
  for (let i = 0; i < 10; i++) log('a line\n');
  closeSync(fd);
  expect(statSync(path).size).toBeLessThan(20);
});
