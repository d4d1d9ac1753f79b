import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentFormat, openDataDir } from '../../../src/agent/state.ts';
import { blobsFormat, openPackStore } from '../../../src/control/blobs/packs.ts';
import { checkFormat } from '../../../src/shared/data-format.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-format-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const file = () => join(directory, 'format.json');

describe('a data directory', () => {
  it('is marked with its format, and found again', () => {
    checkFormat(directory, 'x', 1);
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({ format: 1 });
    checkFormat(directory, 'x', 1);
    checkFormat(directory, 'x', 2);
  });

  it.each(['', '{', '{"format":', '{"format":"1"}', '{"format":0}', '[]'])(
    'whose mark is %j is refused by the name of the file, which stays as it is',
    (text) => {
      writeFileSync(file(), text);
      expect(() => checkFormat(directory, 'x', 1)).toThrow(
        expect.objectContaining({ code: 'corrupt', message: expect.stringContaining(file()) as string }),
      );
      expect(readFileSync(file(), 'utf8')).toBe(text);
    },
  );
});

const owners: [string, number, () => unknown][] = [
  ['an agent', agentFormat, () => openDataDir(directory)],
  ['the blob store', blobsFormat, async () => (await openPackStore(directory)).close()],
];

describe.each(owners)('of %s', (_, known, open) => {
  it('data of the present format and of before there was a mark are taken', async () => {
    mkdirSync(join(directory, 'packs'));
    await open();
    await open();
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({ format: known });
  });

  it('data of a later version are refused, and nothing is changed', async () => {
    writeFileSync(file(), JSON.stringify({ format: known + 1 }));
    await expect(Promise.resolve().then(open)).rejects.toMatchObject({
      code: 'conflict',
      exit: 6,
      message: expect.stringMatching(/later version of paas \(format \d+; this one knows \d+\)/) as string,
      hint: expect.stringContaining('Upgrade paas') as string,
    });
    expect(readdirSync(directory)).toEqual(['format.json']);
  });
});
