import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accessLine } from '../../../../src/router/embedded/access-log.ts';
import { readOptions, writeOptions } from '../../../../src/router/embedded/options.ts';
import { preferred } from '../../../../src/router/embedded/pages.ts';
import { RotatingFile } from '../../../../src/router/embedded/rotating-file.ts';
import { loadTable, parseTable, saveTable } from '../../../../src/router/embedded/table-file.ts';
import { match, normalizeHost } from '../../../../src/router/table.ts';
import { routeTable } from '../../../../src/shared/contracts/routes.ts';
import { asPaasError } from '../../../../src/shared/errors.ts';
import { arbitraryOf } from '../../../support/arbitrary.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-test-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('RotatingFile', () => {
  it('keeps two files of bounded size, and goes on where it was', async () => {
    const path = join(directory, 'log');
    writeFileSync(path, 'before\n');
    const file = new RotatingFile(path, 1000);
    for (let i = 0; i < 30; i++) {
      file.append(`${'x'.repeat(98)}\n`);
      await file.close();
    }
    expect(statSync(path).size).toBeLessThanOrEqual(1000);
    expect(statSync(`${path}.1`).size).toBeLessThanOrEqual(1000);
    expect(readFileSync(path, 'utf8')).not.toContain('before');
  });

  it('counts what it could not write, and says so when it can', async () => {
    const path = join(directory, 'missing', 'log');
    const file = new RotatingFile(path, 1000);
    file.append('one\n');
    file.append('two\n');
    await file.close();
    const { mkdirSync } = await import('node:fs');
    mkdirSync(join(directory, 'missing'));
    file.append('three\n');
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe('three\n{"dropped":2}\n');
  });
});

describe('the access log', () => {
  it('is JSON whatever clients send', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 0, max: 4e12 }), (text, ts) => {
        const rest = { app: 'p/e/a', appId: 'a', instance: 'web.1', release: 3, status: 200, bytes: 5, ms: 7 };
        const entry = { ts, ...rest, method: 'GET', host: text, path: text, requestId: text, error: 'no-route' };
        expect(JSON.parse(accessLine(entry))).toEqual({ ...entry, ts: new Date(ts).toISOString() });
      }),
    );
  });
});

describe('the table on disk', () => {
  const text = JSON.stringify({ version: 4, http: [{ host: 'h', path: '/', backend: 'b' }], tcp: [], backends: { b: { app: 'a', appId: 'a', state: 'serving', endpoints: [] } } }); // prettier-ignore

  it('is private, whole, and read back', async () => {
    const path = join(directory, 'table.json');
    expect(await loadTable(path)).toBeNull();
    await saveTable(path, text);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await loadTable(path)).toMatchObject({ table: { version: 4 } });
  });

  it('cut short anywhere is a problem in words, never a crash', async () => {
    const path = join(directory, 'table.json');
    for (let length = 0; length < text.length; length += 7) {
      writeFileSync(path, text.slice(0, length));
      expect(await loadTable(path)).toMatchObject({ problem: expect.stringContaining('damaged') });
    }
  });

  it('is refused with a typed error when it is anything else', () => {
    const tables = arbitraryOf(routeTable, 25).map((value) => JSON.stringify(value));
    fc.assert(
      fc.property(fc.oneof({ weight: 3, arbitrary: tables }, fc.json(), fc.string()), fc.string(), (noise, asked) => {
        try {
          const { index } = parseTable(noise);
          match(index, normalizeHost(asked) ?? 'shop', `/${asked}`);
        } catch (error) {
          expect(asPaasError(error).code).toBe('bad_request');
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('options', () => {
  it('come back as they were written', () => {
    const options = {
      directory: '/d',
      address: '::1',
      port: 0,
      settings: 's',
      responseTimeoutMs: 5,
      trustedProxies: ['10.0.0.0/8', '::2'],
    };
    expect(readOptions(writeOptions(options))).toEqual(options);
  });

  it.each([
    [[]],
    [['--directory', 'relative']],
    [['--directory', '/d', '--port', 'x']],
    [['--directory', '/d', '--what']],
  ])('refuse %j', (argv) => {
    expect(() => readOptions(argv)).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

describe('pages', () => {
  it.each([
    ['', 'text/plain'], ['*/*', 'text/plain'], ['text/html', 'text/html'], ['application/json', 'application/json'],
    ['application/problem+json', 'application/json'], ['text/html;q=0.2, application/json;q=0.9', 'application/json'],
    ['application/json;q=0, text/html', 'text/html'], ['application/json;q=0', 'text/plain'],
  ])('for Accept %s are %s', (accept, type) => {
    expect(preferred(accept)).toBe(type);
  }); // prettier-ignore
});
