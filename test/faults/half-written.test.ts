/**
 * A data directory of which one file was cut off, for every file that a real platform leaves and several places in each.
 * Opening it either loses nothing that was acknowledged, or says which file is damaged and what to do; it deletes nothing.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureCredentials, checkLocalCloudState } from '../../src/localcloud/client.ts';
import { readConfig, settingsOf } from '../../src/control/config.ts';
import { openPackStore } from '../../src/control/blobs/packs.ts';
import { openData } from '../../src/control/data.ts';
import { openSegmentLogStore } from '../../src/control/logs/segments.ts';
import { readPlatformConfig } from '../../src/cli/platform/config.ts';
import { knownHostRoot, platformFiles } from '../../src/cli/platform/files.ts';
import { PaasError } from '../../src/shared/errors.ts';
import { startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
/** `platform/` as an orderly end leaves it, and as a `kill -9` of everything does. */
const kept: Record<string, string> = {};
const root = mkdtempSync(join(tmpdir(), 'paas-half-'));
afterAll(async () => {
  await paas.remove();
  rmSync(root, { recursive: true, force: true });
});

beforeAll(async () => {
  paas = await startPlatform();
  await paas.ok(['push', 'shop'], { cwd: paas.source('probe') });
  await paas.ok(['config', 'set', 'SECRET=x', '-a', 'shop']);
  await paas.ok(['scale', 'web=2', '-a', 'shop']);
  await paas.get('shop', '/print?text=a+line+that+was+stored');
  await paas.waitFor('the line', async () => (await paas.logs('shop', '--grep', 'was stored')).length === 1);
  await paas.killEverything();
  keep('killed');
  await paas.up();
  await paas.serves('shop', 'version 1');
  await paas.ok(['down']);
  keep('stopped');
});

function keep(state: string): void {
  kept[state] = join(root, state);
  cpSync(join(paas.home, 'platform'), kept[state], { recursive: true, preserveTimestamps: true });
}

const filesOf = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort();

/** Where files are cut: nothing left, one byte, a part, all but the last byte. */
const cuts = (size: number): number[] => [
  ...new Set(
    [0, 1, Math.floor(size / 4), Math.floor(size / 2), Math.floor(size * 0.9), size - 1].filter((at) => at < size),
  ),
];

const hash = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const contents = (directory: string): Map<string, string> =>
  new Map(filesOf(directory).map((name) => [name, hash(join(directory, name))]));

/** What there is, as users would ask for it, and what the parts say of damage. */
interface Opened {
  facts: unknown;
  said: string[];
}

async function openControl(platform: string): Promise<Opened> {
  const said: string[] = [];
  const dataDir = join(platform, 'server');
  const data = await openData({ ...settingsOf(readConfig(join(kept['stopped']!, 'config.json'))), dataDir });
  try {
    const blobs = await openPackStore(join(dataDir, 'blobs'));
    const logs = await openSegmentLogStore({ root: join(dataDir, 'logs'), notice: (message) => said.push(message) });
    try {
      const { db } = data.store;
      const { rows: broken } = await sql<{ integrity_check: string }>`pragma integrity_check`.execute(db);
      expect(broken).toEqual([{ integrity_check: 'ok' }]);
      const apps = await db.selectFrom('apps').select(['id', 'name', 'release', 'formation']).execute();
      const releases = await db.selectFrom('releases').select(['version', 'state']).execute();
      const images = await db.selectFrom('images').select('tree').execute();
      const trees = [];
      for (const { tree } of images) trees.push(await blobs.missingFrom(tree));
      const lines: string[] = [];
      for (const { id } of apps)
        for await (const batch of logs.query({ appId: id }))
          for (const entry of batch) lines.push('line' in entry ? entry.line : `gap of ${entry.gap.count}`);
      said.push(...blobs.stats().problems);
      return { facts: { apps, releases, trees, lines }, said };
    } finally {
      await logs.close();
      await blobs.close();
    }
  } finally {
    await data.store.close();
    data.lock.release();
  }
}

function openFiles(platform: string): Promise<Opened> {
  const files = {
    ...platformFiles(platform),
    config: join(platform, 'config.json'),
    local: join(platform, 'local.json'),
  };
  checkLocalCloudState(join(platform, 'cloud'));
  const credentials = ensureCredentials(join(platform, 'cloud'));
  const facts = { config: readPlatformConfig(files), hostRoot: knownHostRoot(files), credentials };
  return Promise.resolve({ facts, said: [] });
}

/** A copy with one file cut off, opened and thrown away again. Answers how it went. */
async function withCut(
  state: string,
  name: string,
  at: number,
  open: (platform: string) => Promise<Opened>,
): Promise<{ opened?: Opened; refused?: unknown }> {
  const copy = join(root, 'copy');
  rmSync(copy, { recursive: true, force: true });
  cpSync(kept[state]!, copy, { recursive: true, preserveTimestamps: true });
  const path = join(copy, name);
  truncateSync(path, at);
  const before = contents(copy);
  try {
    return { opened: await open(copy) };
  } catch (refused) {
    // Whatever was there is there still. A database that is whole takes its log up when it is opened and closed.
    const mayChange = name.includes('paas.db') ? /\.lock$|-shm$/ : /\.lock$|paas\.db/;
    const after = contents(copy);
    for (const [file, digest] of before)
      if (!mayChange.test(file)) expect(after.get(file), `${file} after a cut of ${name}`).toBe(digest);
    return { refused };
  }
}

describe.each(['stopped', 'killed'])('a control plane that was %s', (state) => {
  it('opens without loss, or says which file is cut off', async () => {
    const whole = await openControl(join(copyOf(state)));
    expect(JSON.stringify(whole.facts)).toContain('a line that was stored');
    expect(whole.said).toEqual([]);
    const outcomes = new Map<string, string>();
    for (const name of filesOf(kept[state]!).filter((file) => file.startsWith('server/'))) {
      for (const at of cuts(statSync(join(kept[state]!, name)).size)) {
        const what = `${name} cut to ${at} bytes`;
        const { opened, refused } = await withCut(state, name, at, openControl);
        if (refused !== undefined) {
          expect(refused, what).toBeInstanceOf(PaasError);
          const error = refused as PaasError;
          expect(error.code, `${what}: ${String(error)}`).toBe('corrupt');
          expect(`${error.message} ${error.hint}`, what).toContain(basename(name).replace(/-(wal|shm)$/, ''));
          expect(error.hint, what).not.toBe('');
          outcomes.set(name, 'refused');
        } else if (JSON.stringify(opened!.facts) !== JSON.stringify(whole.facts)) {
          expect(opened!.said.join('\n'), `${what}: ${JSON.stringify(opened!.facts)}`).toContain(basename(name));
          outcomes.set(name, 'said');
        }
      }
    }
    // The loop has met the files that matter.
    expect(outcomes.get('server/paas.db')).toBe('refused');
    expect(outcomes.get('server/master.key')).toBe('refused');
    if (state === 'killed') expect(outcomes.get('server/paas.db-wal')).toBe('refused');
    expect([...outcomes.keys()].some((name) => name.endsWith('.pack'))).toBe(true);
  });
});

function copyOf(state: string): string {
  const copy = join(root, 'whole');
  rmSync(copy, { recursive: true, force: true });
  cpSync(kept[state]!, copy, { recursive: true, preserveTimestamps: true });
  return copy;
}

describe('the other files of a platform', () => {
  it('are refused by name when they are cut off, or it does not matter', async () => {
    const whole = await openFiles(copyOf('stopped'));
    for (const name of filesOf(kept['stopped']!).filter((file) => !file.startsWith('server/'))) {
      for (const at of cuts(statSync(join(kept['stopped']!, name)).size)) {
        const what = `${name} cut to ${at} bytes`;
        const { opened, refused } = await withCut('stopped', name, at, openFiles);
        if (opened) expect(opened.facts, what).toEqual(whole.facts);
        else {
          expect(refused, what).toMatchObject({ code: 'corrupt' });
          expect(String(refused), what).toContain(basename(name));
        }
      }
    }
  });
});
