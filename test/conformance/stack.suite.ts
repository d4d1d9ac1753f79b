/**
 * What every stack must do: recognise its sources, plan them alike every time, and have a plan whose commands, run in
 * one directory, leave a tree that runs in another.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, cpSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync } from 'node:fs';
import { realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { choosePort } from '../../src/agent/ports.ts';
import { linkProblem } from '../../src/shared/tree/links.ts';
import { detectStack } from '../../src/stacks/detect.ts';
import type { BuildPlan, PlanContext, Stack, StackApp } from '../../src/stacks/port.ts';
import { launchLine } from '../../src/stacks/support/launch.ts';
import { requireOrSkip } from '../support/skip.ts';
import { directoryView } from '../support/source-view.ts';

export interface StackCase {
  /** What the source is, in words. */
  title: string;
  /** Name of the stack that must be chosen. */
  stack: string;
  /** Directory that holds the source. */
  source: string;
  /** Changes the copy of the source that the test works on. */
  prepare?: (directory: string) => void | Promise<void>;
  app?: Partial<StackApp>;
  /** A process type's command, where the app brings one (the CLI reads it out of a Procfile). */
  command?: string;
  env?: Record<string, string>;
  /** Requests and what their bodies must hold. */
  answers: Record<string, RegExp>;
  /** What the last request's answer proves of the running app's output, if anything. */
  logs?: RegExp;
  /** Whether the plan has commands to run on a host. */
  builds: boolean;
  /** Needs a package registry. */
  network?: boolean;
}

const path = '/usr/local/bin:/usr/bin:/bin';
const programs = ['node', 'npm', 'python3', 'java', 'javac', 'mvn'];
const tools = Object.fromEntries(
  programs.filter(hasProgram).map((name) => [name, name === 'node' ? process.versions.node : '1.0']),
);

function hasProgram(name: string): boolean {
  return path.split(':').some((dir) => {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function stackConformance(stacks: readonly Stack[], cases: readonly StackCase[]): void {
  describe.each(cases)('$title', (given) => {
    let scratch = '';
    let build = '';
    const running: ChildProcess[] = [];
    beforeEach(async () => {
      scratch = realpathSync(mkdtempSync(join(tmpdir(), 'paas-stack-')));
      build = join(scratch, 'build');
      cpSync(given.source, build, { recursive: true, verbatimSymlinks: true });
      await given.prepare?.(build);
    });
    afterEach(async () => {
      await Promise.all(running.splice(0).map(stop));
      rmSync(scratch, { recursive: true, force: true });
    });

    const context = (): PlanContext => {
      const processes = given.command === undefined ? {} : { web: { kind: 'web' as const, command: given.command } };
      const app = { processes, ...given.app };
      return { view: directoryView(build), app, project: 'p', tools, arch: 'x64', base: 'b'.repeat(64) };
    };
    const plan = async (): Promise<BuildPlan> => (await detectStack(stacks, context())).stack.plan(context());

    it('is recognised, with a reason', async () => {
      const { stack, detection } = await detectStack(stacks, context());
      expect(stack.name).toBe(given.stack);
      expect(detection.reason).not.toBe('');
    });

    it('is planned alike every time, and needs no build host without commands', async () => {
      const first = await plan();
      expect(await plan()).toEqual(first);
      expect(first.commands.length > 0).toBe(given.builds);
      expect(first.needs.every(({ reason }) => reason.length > 0)).toBe(true);
      expect(Object.keys(first.files).every((file) => file.startsWith('.paas/'))).toBe(true);
    });

    it('runs anywhere once it is built, and again out of caches', async (test) => {
      const planned = await plan();
      const missing = planned.needs.filter(({ tool }) => !hasProgram(tool.replace('python3-venv', 'python3')));
      requireOrSkip(test, missing.length === 0, `not on this machine: ${missing.map(({ tool }) => tool).join(', ')}`);
      if (given.network === true) requireOrSkip(test, process.env['PAAS_TEST_OFFLINE'] !== '1', 'PAAS_TEST_OFFLINE=1');

      cpSync(build, join(scratch, 'again'), { recursive: true, verbatimSymlinks: true });
      const caches = await runCommands(planned, build, scratch);
      expect(escapingLinks(build)).toEqual([]);
      await answersAt('first', planned);

      build = join(scratch, 'again');
      await runCommands(planned, build, scratch, caches);
      await answersAt('second', planned);
    }, 180_000);

    /** Moves the build's result away from where it was built, starts it there and asks it. */
    async function answersAt(name: string, planned: BuildPlan): Promise<void> {
      const app = join(scratch, name, 'app');
      mkdirSync(dirname(app));
      renameSync(build, app);
      for (const [file, { text, mode }] of Object.entries(planned.files)) {
        mkdirSync(dirname(join(app, file)), { recursive: true });
        writeFileSync(join(app, file), text, { mode });
      }
      const command = given.command ?? planned.defaultProcesses['web']?.command;
      expect(command).toBeDefined();
      // Where the system gives none out, nor agents of tests that run at the same time.
      const port = await choosePort({ from: 5500, to: 9999 }, new Set());
      const env = { ...planned.env, ...given.env, PORT: String(port) };
      const { child, output } = start(launchLine(planned.profile, command ?? ''), app, env);
      running.push(child);
      for (const [target, wanted] of Object.entries(given.answers)) {
        expect(await fetchText(port, target, child, output)).toMatch(wanted);
      }
      if (given.logs !== undefined) await expect.poll(output).toMatch(given.logs);
      // SIGTERM reaches the app itself: it is all that is there, and it ends.
      child.kill('SIGTERM');
      const [code, signal] = await ended(child);
      expect([0, 143, 'SIGTERM']).toContain(code ?? signal);
    }
  });
}

/** Runs the commands as a build step does; those whose cache is given are skipped. @returns the caches they leave. */
async function runCommands(plan: BuildPlan, cwd: string, scratch: string, caches?: string): Promise<string> {
  const kept = caches ?? join(scratch, 'caches');
  const shared = Object.values(plan.sharedCaches).map((name) => [name, join(scratch, 'shared', name)] as const);
  for (const [, dir] of shared) mkdirSync(dir, { recursive: true });
  for (const command of plan.commands) {
    const { cache } = command;
    const copy = (from: string, to: string): void => {
      for (const dir of cache?.paths ?? []) {
        cpSync(join(from, dir), join(to, dir), { recursive: true, verbatimSymlinks: true });
      }
    };
    if (cache !== undefined && caches !== undefined) {
      copy(join(kept, cache.key), cwd);
      continue;
    }
    const { child, output } = start(command.run, cwd, { ...command.env, ...Object.fromEntries(shared) });
    const [code] = await ended(child);
    if (code !== 0) throw new Error(`${command.name} ended with ${String(code)}:\n${output()}`);
    if (cache !== undefined) copy(cwd, join(kept, cache.key));
  }
  return kept;
}

function start(line: string, cwd: string, env: Record<string, string>): { child: ChildProcess; output: () => string } {
  const home = { PATH: path, HOME: cwd, TMPDIR: dirname(cwd) };
  const child = spawn('sh', ['-c', line], {
    cwd,
    env: { ...home, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return { child, output: () => output };
}

async function ended(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return [child.exitCode, child.signalCode];
}

/** Ends what a failed test left running, children included. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  process.kill(-child.pid, 'SIGKILL');
  await ended(child);
}

/** Body of a page of the app, as soon as it listens. */
async function fetchText(port: number, target: string, child: ChildProcess, output: () => string): Promise<string> {
  const once_ = (): Promise<string | null> =>
    new Promise((resolve) => {
      get({ host: '127.0.0.1', port, path: target, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () => resolve(body)).on('error', () => resolve(null));
      }).on('error', () => resolve(null));
    });
  for (;;) {
    const body = await once_();
    if (body !== null) return body;
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the app ended:\n${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Links that a tree could not keep: absolute ones, and those that lead out. */
function escapingLinks(root: string, dir = root): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const at = join(dir, entry.name);
    if (entry.isDirectory()) return escapingLinks(root, at);
    if (!entry.isSymbolicLink()) return [];
    const problem = linkProblem(relative(root, at), readlinkSync(at));
    return problem === undefined ? [] : [`${relative(root, at)} ${problem}`];
  });
}
