import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { isAlive, listDescendants, processIdentity, signalTree } from '../../../src/shared/processes.ts';
import { eventually } from '../../support/eventually.ts';
import { requireOrSkip } from '../../support/skip.ts';

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

/** A detached shell that prints one line when it is ready. */
async function shell(script: string): Promise<ChildProcess & { pid: number }> {
  const child = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  started.push(child);
  await once(child.stdout, 'data');
  return child as ChildProcess & { pid: number };
}

describe.runIf(process.platform === 'linux')('processes', () => {
  it('knows a process by number, start time and boot', async () => {
    const child = await shell('echo ready; exec sleep 60');
    const identity = processIdentity(child.pid)!;
    expect(identity.pid).toBe(child.pid);
    expect(isAlive(identity)).toBe(true);
    expect(isAlive({ ...identity, startTime: '1' })).toBe(false);
    expect(isAlive({ ...identity, bootId: 'another boot' })).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isAlive(identity)).toBe(false);
    expect(processIdentity(child.pid)).toBeNull();
  });

  it('counts a zombie as dead', async () => {
    const child = await shell('(exec true) & echo $!; exec sleep 60');
    const descendants = (): number => listDescendants(processIdentity(child.pid)!).length;
    await eventually(descendants).toBe(1);
  });

  it('counts one as alive until its last thread has ended, and kills it', async (context) => {
    requireOrSkip(
      context,
      spawnSync('python3', ['--version']).status === 0,
      'python3, whose main thread can end first',
    );
    const program =
      'import ctypes,threading,time; threading.Thread(target=time.sleep,args=(60,)).start(); print("ready",flush=True); ctypes.CDLL(None).pthread_exit(None)';
    const child = await shell(`exec python3 -c '${program}'`);
    const identity = processIdentity(child.pid)!;
    const shown = (): string => readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(' ')[2]!;
    await eventually(shown).toBe('Z');
    expect(isAlive(identity)).toBe(true);
    const ended = once(child, 'exit');
    expect(signalTree(identity, 'SIGKILL')).toBe(1);
    await ended;
    expect(isAlive(identity)).toBe(false);
  });

  it('kills children, other sessions and orphans, and spares the caller', async () => {
    const child = await shell('setsid sleep 60 & (sleep 60 &) ; sleep 60 & sleep 0.1; echo ready; wait');
    const identity = processIdentity(child.pid)!;
    const tree = listDescendants(identity).map((entry) => processIdentity(entry.pid)!);
    expect(tree).toHaveLength(4);
    expect(tree.map((one) => one.pid)).not.toContain(process.pid);
    signalTree(identity, 'SIGKILL');
    await eventually(() => tree.filter(isAlive)).toEqual([]);
  });

  it('finds what is left after the first process ended', async () => {
    const child = await shell('sleep 60 & echo ready; read nothing < /dev/zero');
    const identity = processIdentity(child.pid)!;
    const orphans = listDescendants(identity).filter((entry) => entry.pid !== child.pid);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(listDescendants(identity).map((entry) => entry.pid)).toEqual(orphans.map((entry) => entry.pid));
    expect(signalTree(identity, 'SIGKILL')).toBe(1);
  });

  it('touches nobody when the number was given to another process', async () => {
    const child = await shell('echo ready; exec sleep 60');
    const identity = processIdentity(child.pid)!;
    expect(signalTree({ ...identity, startTime: '1' }, 'SIGKILL')).toBe(0);
    expect(isAlive(identity)).toBe(true);
  });
});
