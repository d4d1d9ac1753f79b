import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bootId, listDescendants, signalTree } from '../../../../src/shared/processes.ts';
import { environmentText } from '../../../../src/agent/runtimes/environment.ts';
import { copierPids, exitOf, isDrained, logFile, readRun, startKept } from '../../../../src/agent/runtimes/keeper.ts';
import { freeAll, freePrefix } from '../../../../src/agent/runtimes/spool.ts';
import { openTemporary } from '../../../support/instances.ts';
import { eventually } from '../../../support/eventually.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

describe('exit status of a shell', () => {
  it('is a code, or a signal above 128', () => {
    expect(exitOf(0)).toEqual({ code: 0, signal: null });
    expect(exitOf(128)).toEqual({ code: 128, signal: null });
    expect(exitOf(137)).toEqual({ code: null, signal: 'SIGKILL' });
    expect(exitOf(255)).toEqual({ code: 255, signal: null });
  });
});

describe('environment as shell text', () => {
  it('quotes every value and refuses what cannot be passed on', () => {
    expect(environmentText({ A: `x'; rm -rf "$HOME" \`id\`\n` })).toBe(
      `command export A='x'\\''; rm -rf "$HOME" \`id\`\n'\n`,
    );
    expect(() => environmentText({ 'A;id': '1' })).toThrow(expect.objectContaining({ code: 'manifest_invalid' }));
    expect(() => environmentText({ A: 'secret\0' })).toThrow(/A: the value contains a NUL/);
    expect(() => environmentText({ A: 'secret\0' })).not.toThrow(/secret/);
  });
});

describe.runIf(process.platform === 'linux')('keeper', () => {
  let directory: string;
  beforeEach(() => {
    directory = path.join(openTemporary(), 'ins_1');
    mkdirSync(path.join(directory, 'logs'), { recursive: true });
  });
  afterEach(async () => {
    const { keeper } = readRun(directory, bootId());
    if (keeper) {
      const tree = (): unknown[] => listDescendants(keeper);
      signalTree(keeper, 'SIGKILL');
      await eventually(tree).toEqual([]);
    }
    rmSync(path.dirname(directory), { recursive: true });
  });

  const start = (command: string): Promise<void> =>
    startKept(
      directory,
      { argv: ['/bin/sh', '-c', command], env: {} },
      { owner: null, join: [], scriptDirectory: path.dirname(directory) },
    );
  const exit = (): unknown => readRun(directory, bootId()).exit;

  it('begins a new start on a line of its own', async () => {
    await start('printf one');
    await eventually(() => exit() !== null && isDrained(readRun(directory, bootId()))).toBe(true);
    await start('echo two');
    await eventually(() => readFileSync(logFile(directory, 'stdout'), 'utf8')).toBe('one\ntwo\n');
  });

  it('keeps the app going when the disk is full', async () => {
    symlinkSync('/dev/full', logFile(directory, 'stdout'));
    await start(
      'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "a line that has no place to go, number $i"; done; exit 8',
    );
    await eventually(exit).toMatchObject({ code: 8 });
  });

  it('says in the log where output was lost, once there is space again', async () => {
    // A reader that goes away stands for a disk that is full for a while: cat fails, a later one does not.
    await start(
      'echo first; while [ ! -e go ]; do sleep 0.02; done; echo last'.replace('go', path.join(directory, 'go')),
    );
    const log = (): string => readFileSync(logFile(directory, 'stdout'), 'utf8');
    await eventually(log).toBe('first\n');
    const { keeper } = readRun(directory, bootId());
    const [copier] = copierPids(directory);
    const cat = listDescendants(keeper!).find((entry) => entry.ppid === copier);
    process.kill(cat!.pid, 'SIGKILL');
    await eventually(log).toContain('[paas] output was lost here');
    mkdirSync(path.join(directory, 'go'));
    await eventually(log).toMatch(/lost here.*\nlast\n$/);
  });

  it('gives space back below a writer, by a hole or by holding the writer', async () => {
    await start(
      `head -c 3000000 /dev/zero | tr '\\0' x; while [ ! -e ${directory}/go ]; do sleep 0.02; done; echo end`,
    );
    const file = logFile(directory, 'stdout');
    await eventually(() => statSync(file).size).toBe(3_000_000);
    expect(await freePrefix(file, 2_000_000 - (2_000_000 % 4096))).toBe(true);
    expect(statSync(file).blocks * 512).toBeLessThan(1_100_000);
    expect(
      readFileSync(file)
        .subarray(2_000_000)
        .every((byte) => byte === 120),
    ).toBe(true);
    expect(freeAll(file, 2_999_999)).toBe(false);
    await eventually(() => freeAll(file, 3_000_000)).toBe(true);
    expect(statSync(file)).toMatchObject({ size: 3_000_000, blocks: 0 });
    mkdirSync(path.join(directory, 'go'));
    await eventually(() => readFileSync(file).subarray(3_000_000).toString()).toBe('end\n');
  });
});
