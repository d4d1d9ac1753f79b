import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appPath, findProgram } from '../../../../src/agent/facts-path.ts';
import { hostBase } from '../../../../src/agent/facts.ts';
import { createBackoff } from '../../../../src/agent/link-backoff.ts';
import { detectTools } from '../../../../src/agent/steps/tools.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-facts-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const program = (name: string, text: string) => {
  writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(directory, name), 0o755);
};

describe('tools', () => {
  it('finds tools and asks for their versions', async () => {
    program('git', 'echo git version 2.39.5');
    program('java', 'echo \'openjdk version "17.0.15" 2025-04-15\' >&2');
    const { tools } = await detectTools(directory, '');
    expect(tools).toEqual({ git: '2.39.5', java: '17.0.15' });
  });

  it('does not count a tool that fails, such as python without venv', async () => {
    program('python3', 'if [ "$1" = --version ]; then echo Python 3.11.2; else exit 1; fi');
    expect((await detectTools(directory, '')).tools).toEqual({ python3: '3.11.2' });
  });

  it('asks only once as long as the program stays the same', async () => {
    program('git', `echo asked >> ${directory}/asked; echo 1.2.3`);
    const { cache } = await detectTools(directory, '');
    expect((await detectTools(directory, cache)).tools).toEqual({ git: '1.2.3' });
    expect(statSync(join(directory, 'asked')).size).toBe(6);
    program('git', `echo asked >> ${directory}/asked; echo 1.2.4 newer`);
    expect((await detectTools(directory, cache)).tools).toEqual({ git: '1.2.4' });
  });

  it('is not misled by a damaged cache', async () => {
    program('git', 'echo 1.2.3');
    expect((await detectTools(directory, '{"git":')).tools).toEqual({ git: '1.2.3' });
  });
});

describe('the PATH of apps', () => {
  it('leaves out, as root, what only the own user may enter', () => {
    const closed = join(directory, 'closed');
    mkdirSync(join(closed, 'bin'), { recursive: true });
    chmodSync(directory, 0o755);
    chmodSync(closed, 0o700);
    const own = `${closed}/bin:${directory}:relative:/usr/bin`;
    expect(appPath(own, true).split(':')).toEqual(expect.arrayContaining([directory, '/usr/bin', '/bin']));
    expect(appPath(own, true)).not.toContain('closed');
    expect(appPath(own, false)).toContain('closed');
    expect(appPath(own, false)).not.toContain('relative');
  });

  it('finds programs that can be run, and no directories', () => {
    mkdirSync(join(directory, 'git'));
    expect(findProgram('git', directory)).toBeUndefined();
    program('npm', '');
    expect(findProgram('npm', `/nonexistent:${directory}`)).toBe(join(directory, 'npm'));
  });
});

describe('the base called host', () => {
  it('is the same for the same tools in any order, and another for another version', () => {
    const { digest } = hostBase({ node: '20.1.0', git: '2.0' });
    expect(hostBase({ git: '2.0', node: '20.1.0' }).digest).toBe(digest);
    expect(hostBase({ git: '2.0', node: '20.2.0' }).digest).not.toBe(digest);
  });
});

describe('waiting between attempts', () => {
  it('doubles up to its bound, with jitter, and begins anew after a success', () => {
    const longest = createBackoff(200, 1000, () => 1);
    expect([1, 2, 3, 4, 5].map(() => longest.next())).toEqual([200, 400, 800, 1000, 1000]);
    longest.reset();
    expect(longest.next()).toBe(200);
    expect(createBackoff(200, 1000, () => 0).next()).toBe(100);
  });
});
