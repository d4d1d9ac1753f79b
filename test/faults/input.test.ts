/** Sources that are odd or large. */
import { appendFileSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
});
afterAll(() => paas.remove());

describe('a push of', () => {
  it('a Procfile with CRLF, comments and odd spacing', async () => {
    const Procfile =
      '# written on Windows\r\n\r\nweb :  node server.js\r\nworker:\techo "works: $PAAS_INSTANCE"; sleep 1000\r\n';
    await paas.ok(['push', 'windows'], { cwd: paas.source('probe', { Procfile }) });
    expect((await paas.get('windows')).text).toBe('version 1');
    await paas.waitFor(
      'the worker to speak',
      async () => (await paas.logs('windows', '--grep', '^works: worker.1$')).length === 1,
    );
  });

  it('a manifest with what YAML can do to people', async () => {
    const yaml =
      'name: yamlish\nprocesses: &p\n  web: { command: node server.js }\nconfig: { YES: "yes", ON: "on", NUMBER: 007, VERSION_NUMBER: 1.10, EMPTY: "", MULTI: "a\\nb" }\n';
    const cwd = paas.source('probe', { 'paas.yml': yaml });
    const pushed = await paas.cli(['push', '--json'], { cwd });
    if (pushed.code !== 0) {
      // Refused by name rather than changed in silence.
      expect(pushed.code).toBe(3);
      expect(pushed.error.message).toMatch(/paas\.yml:4:\d+/);
      return;
    }
    for (const [name, value] of [
      ['YES', 'yes'],
      ['NUMBER', '007'],
      ['VERSION_NUMBER', '1.10'],
      ['EMPTY', ''],
    ]) {
      expect((await paas.get('yamlish', `/env?name=${name}`)).text).toBe(value);
    }
  });

  it('an empty directory, or of one with empty directories alone, is refused', async () => {
    const cwd = paas.directory();
    for (const inner of ['', 'a/b']) {
      mkdirSync(join(cwd, inner), { recursive: true });
      const refused = await paas.cli(['push', 'nothing', '--json'], { cwd });
      expect([refused.code, refused.error.code], refused.toString()).toEqual([3, 'source_invalid']);
      expect(refused.error.message).toMatch(/holds no files/);
      expect(refused.error.hint).toContain('--path');
      expect(await paas.app('nothing')).toBeUndefined();
    }
  });

  it('empty directories among files, which the app finds again', async () => {
    const cwd = paas.source('probe');
    mkdirSync(join(cwd, 'uploads', 'new'), { recursive: true });
    await paas.ok(['push', 'hollow'], { cwd });
    expect((await paas.get('hollow', '/look?path=uploads')).text).toBe('new');
    expect((await paas.get('hollow', '/look?path=uploads/new')).text).toBe('');
  });

  it('file names with newlines, control characters and of other languages', async () => {
    const names = [
      'two\nlines',
      'tab\tand\rreturn',
      'ü 漢字 \u{1f600}',
      'e\u0301 and \u00e9',
      '-rf *',
      '$(id)`id`',
      '\'"\\',
      ' ',
    ];
    const cwd = paas.source('probe', Object.fromEntries(names.map((name) => [`odd/${name}/${name}.txt`, name])));
    await paas.ok(['push', 'odd'], { cwd });
    const look = async (path: string): Promise<string> =>
      (await paas.get('odd', `/look?path=${encodeURIComponent(path)}`)).text;
    for (const name of names) expect(await look(`odd/${name}/${name}.txt`)).toBe(name);
    // What is damaged by these names would be sent anew.
    expect(await paas.json(['push', 'odd'], { cwd })).toMatchObject({ changed: false, upload: { files: 0 } });
  });

  it('a file name that is not UTF-8 is refused by name, and may be ignored', async () => {
    const cwd = paas.source('probe');
    writeFileSync(Buffer.concat([Buffer.from(`${cwd}/bad`), Buffer.from([0xff]), Buffer.from('name')]), 'x');
    const refused = await paas.cli(['push', 'bytes', '--json'], { cwd });
    expect([refused.code, refused.error.code], refused.toString()).toEqual([3, 'source_invalid']);
    expect(refused.error.message).toContain('bad\\\\xffname');
    expect(refused.error.hint).toContain('.paasignore');
    writeFileSync(join(cwd, '.paasignore'), 'bad*\n');
    await paas.ok(['push', 'bytes'], { cwd });
  });

  it('50,000 files, and again when one of them has changed', async () => {
    const cwd = paas.source('probe');
    for (let d = 0; d < 500; d++) {
      mkdirSync(join(cwd, 'many', `d${d}`), { recursive: true });
      for (let f = 0; f < 100; f++) writeFileSync(join(cwd, 'many', `d${d}`, `f${f}`), `${d} ${f}`);
    }
    const first = await paas.json<{ upload: { files: number } }>(['push', 'many'], { cwd, timeoutMs: 240_000 });
    expect(first.upload.files).toBeGreaterThanOrEqual(50_000);
    expect((await paas.get('many', '/look?path=many/d499/f99')).text).toBe('499 99');
    const { stdout } = await paas.ok(['exec', 'web.1', '-a', 'many', '--', 'sh', '-c', 'find many -type f | wc -l']);
    expect(stdout.trim()).toBe('50000');
    writeFileSync(join(cwd, 'many', 'd7', 'f7'), 'changed');
    const second = await paas.json<{ upload: { files: number; bytes: number } }>(['push', 'many'], {
      cwd,
      timeoutMs: 240_000,
    });
    expect(second.upload.files).toBe(1);
    expect(second.upload.bytes).toBeLessThan(64 << 10);
    expect((await paas.get('many', '/look?path=many/d7/f7')).text).toBe('changed');
    await paas.ok(['destroy', 'many', '--yes']);
    rmSync(cwd, { recursive: true });
  }, 600_000);

  it('a file of more than 2 GB arrives whole', async () => {
    const cwd = paas.source('probe');
    const bytes = 2 ** 31 + 5;
    const file = join(cwd, 'large.bin');
    writeFileSync(file, 'begins');
    truncateSync(file, bytes - 4);
    appendFileSync(file, 'ends');
    await paas.ok(['push', 'large'], { cwd, timeoutMs: 400_000 });
    const { stdout } = await paas.ok(
      ['exec', 'web.1', '-a', 'large', '--', 'sh', '-c', 'head -c 6 large.bin; tail -c 4 large.bin; wc -c < large.bin'],
      { timeoutMs: 120_000 },
    );
    expect(stdout).toBe(`beginsends${bytes}\n`);
    await paas.ok(['destroy', 'large', '--yes']);
    rmSync(cwd, { recursive: true });
  }, 600_000);
});
