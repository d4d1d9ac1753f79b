/** Sources that are odd or large. */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
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

  it('20,000 files, and again when one of them has changed', async () => {
    const cwd = paas.source('probe');
    for (let d = 0; d < 200; d++) {
      mkdirSync(join(cwd, 'many', `d${d}`), { recursive: true });
      for (let f = 0; f < 100; f++) writeFileSync(join(cwd, 'many', `d${d}`, `f${f}`), `${d} ${f}`);
    }
    const first = await paas.json<{ upload: { files: number } }>(['push', 'many'], { cwd, timeoutMs: 150_000 });
    expect(first.upload.files).toBeGreaterThanOrEqual(20_000);
    expect((await paas.get('many', '/look?path=many/d199/f99')).text).toBe('199 99');
    writeFileSync(join(cwd, 'many', 'd7', 'f7'), 'changed');
    const second = await paas.json<{ upload: { files: number; bytes: number } }>(['push', 'many'], {
      cwd,
      timeoutMs: 150_000,
    });
    expect(second.upload.files).toBe(1);
    expect(second.upload.bytes).toBeLessThan(64 << 10);
    expect((await paas.get('many', '/look?path=many/d7/f7')).text).toBe('changed');
    await paas.ok(['destroy', 'many', '--yes']);
  });

  it('a file of 300 MB arrives whole', async () => {
    const cwd = paas.source('probe');
    const file = join(cwd, 'large.bin');
    writeFileSync(file, 'begins');
    truncateSync(file, 300 << 20);
    await paas.ok(['push', 'large'], { cwd, timeoutMs: 150_000 });
    const { stdout } = await paas.ok(
      ['exec', 'web.1', '-a', 'large', '--', 'sh', '-c', 'head -c 6 large.bin; wc -c < large.bin'],
      { timeoutMs: 60_000 },
    );
    expect(stdout).toBe(`begins${300 << 20}\n`);
    await paas.ok(['destroy', 'large', '--yes']);
  });
});
