/** What every runtime must do, whichever way it sets apps apart. Run by runtime.test.ts on each driver. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InstanceSpec } from '../../src/shared/contracts/instances.ts';
import { listProcesses } from '../../src/shared/processes.ts';
import { spawnCommand } from '../../src/agent/runtimes/command.ts';
import { ownerOf } from '../../src/agent/runtimes/users.ts';
import type { Runtime, RuntimeCommand } from '../../src/agent/runtimes/port.ts';
import { commandLines, openHost, processesNaming, specOf, type TestHost } from '../support/instances.ts';
import { requireOrSkip } from '../support/skip.ts';
import { eventually } from '../support/eventually.ts';

async function outputOf(command: RuntimeCommand): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawnCommand(command, { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
  await closed;
  return { code: child.exitCode, stdout, stderr };
}

/** A root file system with some programs and the libraries they need. */
function makeRootfs(root: string, programs: string[]): void {
  const files = programs.flatMap((name) => {
    const program = `/usr/bin/${name}`;
    const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
    copyInto(root, program, `/bin/${name}`);
    return libraries;
  });
  for (const file of new Set(files)) copyInto(root, file, file);
}

function copyInto(root: string, from: string, to: string): void {
  mkdirSync(path.dirname(path.join(root, to)), { recursive: true });
  copyFileSync(from, path.join(root, to));
}

export function runtimeSuite(driver: Runtime): void {
  describe(`runtime ${driver.kind}`, () => {
    let host: TestHost;
    let opened = false;

    beforeEach(async (context) => {
      opened = false;
      const check = await driver.check(ownerOf('check'));
      requireOrSkip(context, check.ok, check.ok ? '' : check.reason);
      host = await openHost({ kind: driver.kind });
      opened = true;
    });
    afterEach(async () => {
      if (opened) await host.close();
    });

    const start = (change: Partial<InstanceSpec> & { tree?: string }): string => {
      const spec = specOf(change);
      host.supervisor.apply([spec]);
      return spec.id;
    };
    /** Runs a command line to its end. */
    const runToEnd = async (command: string, change: Partial<InstanceSpec> = {}): Promise<string> => {
      const id = start({ command, restart: 'never', ...change });
      await eventually(() => host.status(id).exit).not.toBeNull();
      return id;
    };

    it('passes on output, exit code and end', async () => {
      const id = await runToEnd('echo out; echo err >&2; exit 7');
      expect(host.output(id)).toBe('out\n');
      expect(host.output(id, 'stderr')).toBe('err\n');
      expect(host.status(id)).toMatchObject({ state: 'crashed', exit: { code: 7, signal: null, reason: 'exited' } });
    });

    it('tells a signal from an exit code', async () => {
      const id = await runToEnd('kill -SEGV $$');
      expect(host.status(id).exit).toMatchObject({ code: null, signal: 'SIGSEGV', message: 'ended by SIGSEGV' });
    });

    it('ends well with code 0', async () => {
      const id = await runToEnd('true');
      expect(host.status(id)).toMatchObject({ state: 'stopped', exit: { code: 0 } });
    });

    it('gives the app its own environment and nothing of the agent', async () => {
      process.env['PAAS_AGENT_SECRET'] = 'of the agent';
      const id = await runToEnd('env', { env: { GREETING: `it's "a"\n$HOME \\`, UID: '5', LD_LIBRARY_PATH: '/app' } });
      delete process.env['PAAS_AGENT_SECRET'];
      expect(host.output(id)).toContain(`GREETING=it's "a"\n$HOME \\\n`);
      expect(host.output(id)).toContain('UID=5');
      expect(host.output(id)).not.toContain('of the agent');
    });

    it('shows no secret in any command line', async () => {
      const secret = `s3cret-${Math.random()}`;
      const id = start({ command: 'echo ready; exec sleep 600', env: { KEY: secret } });
      await eventually(() => host.status(id).state === 'healthy' && host.output(id)).toBe('ready\n');
      expect(commandLines().filter((line) => line.includes(secret))).toEqual([]);
    });

    it('starts in the app directory, which is HOME and writable', async () => {
      const tree = host.trees.add({ 'hello.txt': 'hello' });
      const command =
        'cat hello.txt && echo changed > hello.txt && cat "$HOME/hello.txt" && echo x > "$TMPDIR/x" && echo fine';
      const id = start({ tree, command, restart: 'never' });
      await host.until(id, { state: 'stopped' });
      expect(host.output(id)).toBe('hellochanged\nfine\n');
    });

    it('lets the app open its output again without losing any', async () => {
      const id = await runToEnd('echo one; echo two > /dev/stdout; echo err > /dev/stderr; echo three');
      expect(host.output(id)).toBe('one\ntwo\nthree\n');
      expect(host.output(id, 'stderr')).toBe('err\n');
    });

    it('gives signals their default effect, and no standard input', async () => {
      const id = await runToEnd('cat; grep SigIgn /proc/self/status');
      expect(host.output(id).trim().split(/\s+/)[1]).toMatch(/^0+$/);
    });

    it('stops the whole app, and lets those finish whose parent ends first', async () => {
      const tree = host.trees.add({
        'worker.sh': 'trap "sleep 0.3; echo finished; exit" TERM; echo ready; while :; do sleep 0.05; done',
        'start.sh': 'sh worker.sh & sh worker.sh & wait; echo over',
      });
      const id = start({ tree, command: 'sh start.sh; echo not reached' });
      await eventually(() => host.status(id).state === 'healthy' && host.output(id)).toBe('ready\nready\n');
      host.supervisor.apply([]);
      const { exit } = await host.until(id, { state: 'stopped' });
      expect(exit?.reason).toBe('stopped');
      expect(host.output(id)).toContain('finished\nfinished\n');
    });

    it('asks also what an app leaves behind as it ends', async () => {
      const command = 'trap "sleep 600 & exit" TERM; echo ready; while :; do sleep 0.05; done';
      const specs = ['a', 'b', 'c'].map((name) => specOf({ command, id: `ins_left_${name}` }));
      host.supervisor.apply(specs);
      for (const { id } of specs) {
        await eventually(() => host.status(id).state === 'healthy' && host.output(id)).toBe('ready\n');
      }
      host.supervisor.apply([]);
      for (const { id } of specs) {
        expect((await host.until(id, { state: 'stopped' })).exit?.reason).toBe('stopped');
      }
    });

    it('kills what ignores SIGTERM after the grace period', async () => {
      const id = start({ command: 'trap "" TERM; echo ready; while :; do sleep 0.1; done', graceMs: 300 });
      await eventually(() => host.status(id).state === 'healthy' && host.output(id)).toBe('ready\n');
      host.supervisor.apply([]);
      const { exit } = await host.until(id, { state: 'stopped' });
      expect(exit).toMatchObject({ reason: 'killed', message: 'did not end within 0.3 s of SIGTERM' });
    });

    it('leaves no children behind, whatever they do to get away', async () => {
      const mark = `${4000 + Math.random()}`;
      const command = `sleep ${mark} & setsid sleep ${mark} & (setsid sh -c "sleep ${mark} & sleep ${mark}" &) ; sleep 0.3; exit 3`;
      const id = await runToEnd(command);
      expect(host.status(id).exit?.code).toBe(3);
      await eventually(() => processesNaming(`sleep ${mark}`)).toEqual([]);
    });

    it('ends an app over its memory limit and says so', async () => {
      const tree = host.trees.add({
        'eat.js':
          'const all = []; setInterval(() => { for (let i = 0; i < 8; i++) all.push(Buffer.alloc(1 << 20, 1)); }, 20);',
      });
      const id = start({ tree, command: `${process.execPath} eat.js`, memoryMb: 96, restart: 'never' });
      const { exit } = await host.until(id, { state: 'crashed' });
      expect(exit).toMatchObject({ reason: 'oom', message: 'exceeded its memory limit of 96M' });
    });

    it('runs as a user of its own who gains no rights, where the agent is root', async () => {
      const id = await runToEnd('id -u; grep -E "NoNewPrivs|CapEff" /proc/self/status');
      const [uid, ...rest] = host.output(id).trim().split('\n');
      const owner = ownerOf('app_test');
      expect(Number(uid)).toBe(owner?.uid ?? process.getuid!());
      if (owner) expect(rest.map((line) => line.split(/\s+/)[1])).toEqual(['0000000000000000', '1']);
    });

    it('keeps the agent safe from libraries and programs that an app names', async () => {
      const tree = host.trees.add({ mkfifo: '#!/bin/sh\nid -u > /tmp/never', setpriv: '#!/bin/sh\necho taken' });
      const bin = path.join(host.directory, 'instances');
      const id = start({
        tree,
        command: 'echo "$LD_PRELOAD"',
        restart: 'never',
        env: { PATH: `/app:${bin}:/usr/bin:/bin`, LD_PRELOAD: '/app/x.so' },
      });
      await host.until(id, { state: 'stopped' });
      expect(host.output(id)).toBe('/app/x.so\n');
    });

    it('enters a running instance', async () => {
      const id = start({ command: 'echo mine > note; echo ready; exec sleep 600', env: { KEY: 'value' } });
      await eventually(() => host.status(id).state === 'healthy' && host.output(id)).toBe('ready\n');
      const command = await host.supervisor.exec(id, ['sh', '-c', 'cat note; echo "$KEY"; id -u; exit 5']);
      const owner = ownerOf('app_test')?.uid ?? process.getuid!();
      expect(await outputOf(command)).toEqual({ code: 5, stdout: `mine\nvalue\n${owner}\n`, stderr: '' });
      await expect(host.supervisor.exec('ins_none', ['true'])).rejects.toMatchObject({ code: 'not_found' });
    });

    it('runs one-offs in a fresh surrounding and removes it', async () => {
      const tree = host.trees.add({ 'hello.txt': 'hello' });
      const spec = specOf({ tree, env: { KEY: 'value' } });
      const oneOff = await host.supervisor.oneOff(spec);
      const command = oneOff.command(['sh', '-c', 'cat hello.txt; echo " $KEY"; sleep 600 & exit 9']);
      const child = spawnCommand(command, { stdio: ['ignore', 'pipe', 'ignore'] });
      const output = text(child.stdout!);
      const [code] = (await once(child, 'exit')) as [number];
      expect(code).toBe(9);
      await oneOff.finish(); // also ends the child that still holds the output open
      expect(await output).toBe('hello value\n');
      expect(existsSync(path.join(host.directory, 'instances', spec.id))).toBe(false);
    });

    it('refuses a variable that cannot be set, and says which', async () => {
      const id = await runToEnd('true', { env: { 'a-b': '1' } });
      expect(host.status(id)).toMatchObject({ state: 'crashed', exit: { reason: 'start-failed' } });
      expect(host.status(id).message).toContain('"a-b"');
    });

    if (driver.kind === 'sandbox') {
      it('hides the platform, other apps and other processes', async () => {
        const secret = path.join(host.directory, 'secret');
        writeFileSync(secret, 'of the platform', { mode: 0o644 });
        const other = path.join(host.directory, 'instances', 'other');
        mkdirSync(other, { recursive: true });
        const id = await runToEnd(
          `cat ${secret}; ls -d ${other} /root/. /home/. /var/lib /work /srv; ls /tmp; touch /usr/x /etc/x; ls -d /proc/[0-9]* | wc -l; hostname; id -un`,
        );
        const lines = host.output(id).trim().split('\n');
        expect(lines.slice(-2)).toEqual(['shop-web-1', 'app']);
        expect(Number(lines.at(-3))).toBeLessThanOrEqual(6);
        expect(lines).toHaveLength(3);
        expect(host.output(id, 'stderr').match(/No such file|Read-only|Permission denied/g)).toHaveLength(9);
      });

      it('runs on an imported root file system, however small', async () => {
        const rootfs = path.join(host.directory, 'rootfs');
        makeRootfs(rootfs, ['sh', 'cat', 'ls', 'touch', 'id']);
        host.base = { kind: 'rootfs', path: rootfs };
        const id = await runToEnd('ls /; touch x && ls; touch /y; id -u');
        const owner = ownerOf('app_test')?.uid ?? process.getuid!();
        const names = ['app', 'bin', 'dev', 'proc', 'tmp', 'x', String(owner)];
        expect(
          host
            .output(id)
            .split('\n')
            .filter((line) => names.includes(line)),
        ).toEqual(names);
        expect(host.output(id)).not.toContain('home');
      });

      it('ends with its keeper, not with the agent', async () => {
        const id = start({ command: 'echo ready; exec sleep 600', restart: 'never' });
        await eventually(() => host.status(id).state === 'healthy' && host.output(id)).toBe('ready\n');
        const keeper = Number.parseInt(
          readFileSync(path.join(host.directory, 'instances', id, 'run', 'keeper'), 'utf8'),
          10,
        );
        const parents = new Map(listProcesses().map((entry) => [entry.pid, entry.ppid]));
        expect(parents.has(keeper)).toBe(true);
        process.kill(keeper, 'SIGKILL');
        const { exit } = await host.until(id, { state: 'crashed' });
        expect(exit?.reason).toBe('unknown');
      });
    }
  });
}
