import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { loadSealer, Sealer } from '../../../src/control/secrets.ts';

const directory = mkdtempSync(join(tmpdir(), 'paas-secrets-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('sealing', () => {
  const sealer = new Sealer(Buffer.alloc(32, 1));

  it('opens what it has sealed, in its place', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (plain, place) => {
        expect(sealer.open(sealer.seal(plain, place), place)).toBe(plain);
      }),
    );
  });

  it('gives another text each time, without the plain one in it', () => {
    const [a, b] = [sealer.seal('hunter2', 'p'), sealer.seal('hunter2', 'p')];
    expect(a).not.toBe(b);
    expect(Buffer.from(a.slice(3), 'base64').includes('hunter2')).toBe(false);
  });

  const sealed = sealer.seal('hunter2', 'config/app_1/3');
  const changed = (at: number) => {
    const bytes = Buffer.from(sealed.slice(3), 'base64');
    bytes[at] = bytes[at]! ^ 1;
    return `v1.${bytes.toString('base64')}`;
  };
  it.each([
    ['moved to another place', sealed, 'config/app_2/3', sealer],
    ['changed in its head', changed(0), 'config/app_1/3', sealer],
    ['changed in its seal', changed(13), 'config/app_1/3', sealer],
    ['changed in its body', changed(30), 'config/app_1/3', sealer],
    ['cut off', sealed.slice(0, 20), 'config/app_1/3', sealer],
    [
      'cut in its seal',
      `v1.${Buffer.from(sealed.slice(3), 'base64').subarray(0, 20).toString('base64')}`,
      'config/app_1/3',
      sealer,
    ],
    ['empty', '', 'config/app_1/3', sealer],
    ['of another format', sealed.replace('v1.', 'v2.'), 'config/app_1/3', sealer],
    ['sealed with another key', sealed, 'config/app_1/3', new Sealer(Buffer.alloc(32, 2))],
  ])('does not open what was %s, and names the place', (_, text, place, by) => {
    expect(() => by.open(text, place)).toThrow(
      expect.objectContaining({ code: 'corrupt', message: expect.stringContaining(place) as string }),
    );
  });
});

describe('the master key', () => {
  it('is made once, for its owner alone, and found again', () => {
    const file = join(directory, 'new.key');
    const sealed = loadSealer(file, true).seal('x', 'p');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, 'utf8');
    expect(loadSealer(file, true).open(sealed, 'p')).toBe('x');
    expect(loadSealer(file, false).open(sealed, 'p')).toBe('x');
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  it('that is missing where something is sealed is asked for, not made', () => {
    const file = join(directory, 'missing.key');
    expect(() => loadSealer(file, false)).toThrow(
      expect.objectContaining({ code: 'corrupt', hint: expect.stringContaining('backup') as string }),
    );
    expect(() => statSync(file)).toThrow();
  });

  it('that was cut off is named and left as it is', () => {
    const file = join(directory, 'cut.key');
    loadSealer(file, true);
    const cut = readFileSync(file, 'utf8').slice(0, 10);
    writeFileSync(file, cut);
    expect(() => loadSealer(file, true)).toThrow(
      expect.objectContaining({ code: 'corrupt', message: expect.stringContaining(file) as string }),
    );
    expect(readFileSync(file, 'utf8')).toBe(cut);
  });
});
