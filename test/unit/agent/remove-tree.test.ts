import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { bundle } from '../../support/bundle.ts';
import { requireOrSkip } from '../../support/skip.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-remove-'));
  chmodSync(directory, 0o777);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a module as a user who is not root, since root may remove everything. */
async function asUser(body: string): Promise<void> {
  const module = join(directory, 'remove-tree.mjs');
  copyFileSync(await bundle('src/agent/remove-tree.ts', 'remove-tree.js'), module);
  chmodSync(module, 0o644);
  const script = `
    import fs from 'node:fs';
    import { removeTree, removeTreeSync } from ${JSON.stringify(module)};
    process.chdir(${JSON.stringify(directory)});
    ${body}`;
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: '/', stdio: 'pipe', ...user });
}

/** What `go build` leaves, with worse: closed at the top, closed below, one that may not even be read. */
const make = `
  fs.mkdirSync('app/pkg/mod/cache', { recursive: true });
  fs.writeFileSync('app/pkg/mod/cache/x', '');
  fs.writeFileSync('app/pkg/y', '');
  fs.symlinkSync('../../outside', 'app/pkg/out');
  fs.chmodSync('app/pkg/mod/cache', 0);
  fs.chmodSync('app/pkg/mod', 0o555);
  fs.chmodSync('app/pkg', 0o555);
  fs.chmodSync('app', 0o500);`;

it.each(['await removeTree', 'removeTreeSync'])('%s removes directories that were closed', async (remove) => {
  await asUser(`${make} ${remove}('app');`);
  expect(existsSync(join(directory, 'app'))).toBe(false);
});

it('leaves alone what a link leads to, and what is not there', async () => {
  mkdirSync(join(directory, 'outside'));
  await asUser(`
    fs.mkdirSync('own/in', { recursive: true });
    fs.writeFileSync('own/in/kept', 'kept');
    fs.chmodSync('own/in', 0o555);
    fs.mkdirSync('app/closed', { recursive: true });
    fs.symlinkSync('../../own/in', 'app/closed/link');
    fs.chmodSync('app/closed', 0o555);
    await removeTree('app');
    removeTreeSync('app');`);
  expect(existsSync(join(directory, 'app'))).toBe(false);
  expect(readFileSync(join(directory, 'own/in/kept'), 'utf8')).toBe('kept');
  expect(statSync(join(directory, 'own/in')).mode & 0o777).toBe(0o555);
});

it('says what cannot be removed', async (context) => {
  requireOrSkip(context, process.getuid?.() === 0, 'a directory of another user needs root');
  mkdirSync(join(directory, 'foreign/closed'), { recursive: true });
  chmodSync(join(directory, 'foreign'), 0o755);
  await expect(asUser(`await removeTree('foreign');`)).rejects.toThrow(/EACCES/);
  expect(existsSync(join(directory, 'foreign/closed'))).toBe(true);
});
