import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AccessLogs } from '../../../../src/router/embedded/access-logs.ts';
import { LineFile } from '../../../../src/router/embedded/line-file.ts';
import { readOptions, writeOptions } from '../../../../src/router/embedded/options.ts';
import { preferred } from '../../../../src/router/pages.ts';
import { atOnce } from '../../../../src/router/embedded/slices.ts';
import { loadTable, readTable } from '../../../../src/router/embedded/table-file.ts';
import { replaceDurably } from '../../../../src/shared/files.ts';
import { match, normalizeHost } from '../../../../src/router/table.ts';
import { readAccessLine } from '../../../../src/shared/access-line.ts';
import { routeTable } from '../../../../src/shared/contracts/routes.ts';
import { asPaasError } from '../../../../src/shared/errors.ts';
import { arbitraryOf } from '../../../support/arbitrary.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-test-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('LineFile', () => {
  it('keeps two files of bounded size, and goes on where it was', async () => {
    const path = join(directory, 'log');
    writeFileSync(path, 'before\n');
    const file = new LineFile(path, { rotateAt: 1000 });
    for (let i = 0; i < 30; i++) {
      file.append('x'.repeat(98));
      await file.close();
    }
    expect(statSync(path).size).toBeLessThanOrEqual(1000);
    expect(statSync(`${path}.1`).size).toBeLessThanOrEqual(1000);
    expect(readFileSync(path, 'utf8')).not.toContain('before');
  });

  it('counts what it could not write, and says so when it can', async () => {
    const path = join(directory, 'missing', 'log');
    const file = new LineFile(path, { rotateAt: 1000 });
    file.append('one');
    file.append('two');
    await file.close();
    mkdirSync(join(directory, 'missing'));
    file.append('three');
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe('dropped=2\nthree\n');
  });

  it('drops lines while too much of it is allocated, and never renames it then', async () => {
    const path = join(directory, 'log');
    writeFileSync(path, 'x'.repeat(20_000));
    const file = new LineFile(path, { allocated: 16 * 1024 });
    file.append('lost');
    await file.close();
    truncateSync(path, 10);
    file.append('kept');
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe(`${'x'.repeat(10)}\ndropped=1\nkept\n`);
  });
});

describe('the access logs', () => {
  const entry = (text: string) => ({
    ...{
      method: 'GET',
      host: 'h',
      path: text,
      status: 200,
      bytes: 5,
      ms: 7,
      firstMs: 6,
      instance: 'web.1',
      release: 3,
    },
    ...{ client: '::1', requestId: text, traceId: 't' },
  });
  const linesOf = (name: string) =>
    readFileSync(join(directory, 'access', name), 'utf8')
      .trimEnd()
      .split('\n');

  it('have a file for each app and one for what has none, whatever clients send', async () => {
    const logs = new AccessLogs(join(directory, 'access'));
    const texts = fc.sample(fc.string({ unit: 'binary' }), 200);
    for (const text of texts) logs.write('app_a', entry(text));
    logs.write('app_b', entry('/b'));
    logs.write('', entry('/none'));
    await logs.close();
    expect(linesOf('app_a.log').map((line) => readAccessLine(line).path)).toEqual(texts);
    expect(linesOf('app_b.log').map((line) => readAccessLine(line).path)).toEqual(['/b']);
    expect(linesOf('-.log').map((line) => readAccessLine(line).path)).toEqual(['/none']);
  });

  it('of more apps than files may be open lose nothing', async () => {
    const logs = new AccessLogs(join(directory, 'access'));
    for (let round = 0; round < 2; round++) {
      for (let app = 0; app < 600; app++) logs.write(`app_${app}`, entry(`/${round}`));
      await logs.close();
    }
    for (let app = 0; app < 600; app++) expect(linesOf(`app_${app}.log`)).toHaveLength(2);
  });
});

describe('the table on disk', () => {
  const text = JSON.stringify({ version: 4, http: [{ host: 'h', path: '/', backend: 'b' }], tcp: [], backends: { b: { app: 'a', appId: 'a', state: 'serving', endpoints: [] } } }); // prettier-ignore

  it('is private, whole, and read back', async () => {
    const path = join(directory, 'table.json');
    expect(await loadTable(path)).toBeNull();
    await replaceDurably(path, text);
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
          const { index } = atOnce(readTable(noise));
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
