import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { readJsonFile, writeDurably } from '../../../src/shared/files.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-files-'));
  path = join(directory, 'state.json');
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('durable files', () => {
  it('are replaced as a whole, private, and leave nothing beside them', () => {
    writeDurably(path, 'one');
    writeDurably(path, 'two');
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['state.json']);
  });

  it('that cannot be written leave nothing behind', () => {
    mkdirSync(path);
    expect(() => writeDurably(path, 'one')).toThrow();
    expect(readdirSync(directory)).toEqual(['state.json']);
  });

  it('are read by a schema; damaged ones are named and left as they are', () => {
    const schema = z.object({ a: z.int() });
    expect(readJsonFile(path, schema)).toBeUndefined();
    writeDurably(path, '{"a":1}');
    expect(readJsonFile(path, schema)).toEqual({ a: 1 });
    for (const bad of ['', '{"a":', '{"a":"x"}']) {
      writeFileSync(path, bad);
      expect(() => readJsonFile(path, schema)).toThrow(expect.objectContaining({ code: 'corrupt' }));
      expect(readFileSync(path, 'utf8')).toBe(bad);
    }
  });
});
