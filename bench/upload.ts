/** Large sources: sent for the first time, again, and with one file changed. On memory and on disk. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Platform } from '../test/support/platform.ts';
import { appAnswers, copyOf, fillWithFiles } from './support/apps.ts';
import type { Bench } from './support/bench.ts';
import { withPlatform } from './support/cleanup.ts';
import { CountingProxy } from './support/counting-proxy.ts';
import { isInstalled, paasScript, settleDisk, timed, timedShell } from './support/programs.ts';
import { report, reportMissing } from './support/report.ts';

const files = 20_000;
const fileSize = 10_000;
const firstRounds = 3;
const rounds = 7;

interface Place {
  name: 'tmpfs' | 'disk';
  directory: string;
}

const places: readonly Place[] = [
  { name: 'tmpfs', directory: '/dev/shm' },
  { name: 'disk', directory: tmpdir() },
];

export const uploadBenches: readonly Bench[] = places.map((place) => ({
  name: `upload.${place.name}`,
  run: () => upload(place),
}));

const seconds = (ms: number): number => ms / 1000;

async function upload({ name, directory }: Place): Promise<void> {
  const row = `upload.${name}`;
  const tmpfs = existsSync(directory) && statfsSync(directory).type === 0x01021994;
  if (tmpfs !== (name === 'tmpfs')) {
    reportMissing(row, { ratioMax: 4 }, 's', `${directory} is ${tmpfs ? '' : 'not '}on tmpfs`);
    return;
  }
  await withPlatform({ under: directory }, async (paas) => {
    // The first host is there, and everything has run once.
    await paas.ok(['push'], { cwd: copyOf('hello', paas.root) });
    const tree = await first(paas, row);
    unchanged(paas, row, tree);
    await oneChanged(paas, row, tree);
  });
}

/** Trees of different content, each with a name of its own, so that nothing of them is known. @returns the last one */
async function first(paas: Platform, row: string): Promise<string> {
  const values: number[] = [];
  const hashing: number[] = [];
  const copying: number[] = [];
  let tree = '';
  const rsync = isInstalled('rsync');
  for (let round = 0; round < firstRounds; round++) {
    if (tree !== '') await forget(paas, tree);
    tree = copyOf('hello', paas.root);
    fillWithFiles(tree, files, fileSize, randomBytes);
    settleDisk();
    hashing.push(seconds(timedShell('tar cf - . | sha256sum >/dev/null', tree)));
    if (rsync) copying.push(seconds(copyTime(paas, tree)));
    settleDisk();
    values.push(seconds(push(paas, tree)));
    await live(paas);
  }
  const common = { unit: 's', values };
  // On a disk, its noise would drown the comparison with hashing.
  if (row.endsWith('tmpfs')) {
    const floorWhat = 'tar cf - . | sha256sum';
    report({ name: `${row}.first-hash`, ...common, floors: hashing, floorWhat, aim: { ratioMax: 4 } });
  }
  if (rsync)
    report({ name: `${row}.first-copy`, ...common, floors: copying, floorWhat: 'rsync -a', aim: { ratioMax: 1 } });
  else reportMissing(`${row}.first-copy`, { ratioMax: 1 }, 's', 'rsync is not installed');
  return tree;
}

async function forget(paas: Platform, tree: string): Promise<void> {
  await paas.ok(['destroy', 'big', '--yes']);
  rmSync(tree, { recursive: true });
}

function copyTime(paas: Platform, tree: string): number {
  const copy = join(paas.root, 'copy');
  mkdirSync(copy);
  const took = timed('rsync', ['-a', `${tree}/`, `${copy}/`]);
  rmSync(copy, { recursive: true });
  return took;
}

/** @returns ms until the whole source is stored and the push acknowledged; it is rolled out afterwards */
function push(paas: Platform, tree: string): number {
  return timed(process.execPath, [paasScript, 'push', 'big', '--no-wait'], {
    cwd: tree,
    env: { PAAS_HOME: paas.home },
  });
}

/** Until what was pushed last is live, and nothing is under way that would disturb the next measurement. */
async function live(paas: Platform): Promise<void> {
  await appAnswers(paas, 'big', 'version');
  await paas.waitFor(
    'the rollout to end',
    async () => (await paas.json<{ state: string }[]>(['apps'])).every(({ state }) => state === 'healthy'),
    120_000,
  );
  await paas.settled('big', { web: 1 });
  settleDisk();
}

function unchanged(paas: Platform, row: string, tree: string): void {
  const values: number[] = [];
  const floors: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const floor = timedShell("find . -printf '%p %s %T@\\n' >/dev/null", tree);
    const took = timed(process.execPath, [paasScript, 'push', 'big'], { cwd: tree, env: { PAAS_HOME: paas.home } });
    if (round === 0) continue;
    floors.push(seconds(floor));
    values.push(seconds(took));
  }
  report({ name: `${row}.unchanged`, unit: 's', values, floors, floorWhat: 'find -printf', aim: { ratioMax: 4 } });
}

/** The same change to the same tree, which is a git repository too: `paas push` leaves .git out. */
async function oneChanged(paas: Platform, row: string, tree: string): Promise<void> {
  const values: number[] = [];
  const floors: number[] = [];
  const bytes: number[] = [];
  const git = isInstalled('git');
  if (git) prepareGit(paas, tree);
  for (let round = 0; round <= rounds; round++) {
    writeFileSync(join(tree, 'data', '7', `file-${700 + round}.bin`), randomBytes(fileSize));
    const took = push(paas, tree);
    await live(paas);
    const floor = git ? timedShell('git add . && git commit -qm change && git push -q origin main', tree) : 0;
    settleDisk();
    if (round === 0) continue;
    floors.push(seconds(floor));
    values.push(seconds(took));
  }
  bytes.push(await bytesSent(paas, tree));
  report({
    name: `${row}.changed-bytes`,
    unit: 'bytes',
    values: bytes,
    floors: [fileSize],
    floorWhat: 'size of the file',
    aim: { more: 65_536 },
    note: 'all that the CLI sends, headers too',
  });
  const name = `${row}.changed`;
  if (git) report({ name, unit: 's', values, floors, floorWhat: 'git add + commit + push', aim: { ratioMax: 2 } });
  else reportMissing(name, { ratioMax: 2 }, 's', 'git is not installed');
}

function prepareGit(paas: Platform, tree: string): void {
  const remote = join(paas.root, 'remote.git');
  timed('git', ['init', '-q', '--bare', remote]);
  timedShell('git init -q -b main && git config user.name bench && git config user.email bench@localhost', tree);
  timedShell('git config gc.auto 0 && git add . && git commit -qm all', tree);
  timed('git', ['remote', 'add', 'origin', remote], { cwd: tree });
  timedShell('git push -q origin main', tree);
  settleDisk();
}

/** Counted on the wire, between the CLI and the control plane. */
async function bytesSent(paas: Platform, tree: string): Promise<number> {
  const target = JSON.parse(readFileSync(join(paas.home, 'target.json'), 'utf8')) as {
    platforms: { keyId: string; keySecret: string }[];
  };
  const { keyId, keySecret } = target.platforms[0]!;
  writeFileSync(join(tree, 'data', '9', 'file-900.bin'), randomBytes(fileSize));
  const proxy = await CountingProxy.start(new URL(paas.url));
  try {
    const env = { PAAS_URL: proxy.url, PAAS_KEY_ID: keyId, PAAS_KEY_SECRET: keySecret };
    await paas.ok(['push', 'big', '--no-wait'], { cwd: tree, env });
  } finally {
    await proxy.stop();
  }
  await live(paas);
  return proxy.sent;
}
