/** Apps that misbehave. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { running, startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
const serve = 'require("http").createServer((q, r) => r.end("ok")).listen(process.env.PORT);';
const web = (code: string): string => paas.directory({ Procfile: 'web: node app.js\n', 'app.js': `${code}\n${serve}` });

beforeAll(async () => {
  paas = await startPlatform();
  // Open connections of what leaves are waited for no longer than that.
  await paas.configure({ timing: { drain: 2000 } });
  // Looked at last: it takes its time.
  // Once, since who crashes again and again is started later and later.
  const late =
    'const fs = require("fs"); if (!fs.existsSync("over")) setTimeout(() => { fs.writeFileSync("over", ""); console.log("the end"); process.exit(9); }, 20000);';
  await paas.ok(['push', 'late'], { cwd: web(late) });
});
afterAll(() => paas.remove());

describe('an app', () => {
  it('that ignores SIGTERM is killed after its grace, and does not hold a push up for long', async () => {
    const cwd = web('process.on("SIGTERM", () => console.log("no"));');
    writeFileSync(join(cwd, 'paas.yml'), 'name: stubborn\nprocesses: { web: { command: node app.js, grace: 4s } }\n');
    await paas.ok(['push'], { cwd });
    const [old] = await paas.ps('stubborn');
    await paas.ok(['restart', '-a', 'stubborn']);
    const ended = await paas.waitFor('its end', async () =>
      (await paas.ps('stubborn', '--all')).find(({ id, exit }) => id === old?.id && exit !== null),
    );
    expect(ended.exit).toMatchObject({ reason: 'killed', signal: 'SIGKILL' });
    await paas.settled('stubborn', { web: 1 });
    const said = await paas.waitFor('its answer', async () => {
      const lines = await paas.logs('stubborn', '--grep', '^no$');
      return lines.length > 0 && lines;
    });
    expect(said).toHaveLength(1);
  });

  it('that leaves children behind: they go with it', async () => {
    const cwd = web(
      'require("child_process").spawn("sh", ["-c", "trap : TERM HUP; (setsid sleep 4242 &) ; sleep 4243; sleep 4244"], { detached: true, stdio: "ignore" }).unref();',
    );
    writeFileSync(join(cwd, 'paas.yml'), 'name: parent\nprocesses: { web: { command: node app.js, grace: 1s } }\n');
    await paas.ok(['push'], { cwd });
    const children = (): unknown[] => running(/^sleep 424[23] /);
    await paas.waitFor('its children', () => children().length === 2);
    await paas.ok(['stop', '-a', 'parent']);
    await paas.waitFor('them to be gone', () => children().length === 0);
  });

  it('that forks without end is bounded by its memory, and can be removed', async () => {
    const cwd = web(
      'require("child_process").spawn("sh", ["-c", "f() { sleep 30047 | f & }; f; wait"], { stdio: "ignore" });',
    );
    const pushed = await paas.cli(['push', 'bomb', '-m', '64M'], { cwd, timeoutMs: 150_000 });
    expect([0, 8]).toContain(pushed.code);
    await paas.ok(['destroy', 'bomb', '--yes']);
    await paas.waitFor('all of it to be gone', () => running(/^sleep 30047/).length === 0);
    expect((await paas.ok(['status'])).code).toBe(0);
  });

  it('that prints invalid UTF-8, NUL and no newline at its end is logged as well as can be', async () => {
    const code =
      'process.stdout.write(Buffer.from([0x61, 0xff, 0xfe, 0x62, 0x0a, 0x00, 0x63, 0x0a])); process.stdout.write("\\u001b[31mred\\u001b[0m\\n"); process.stdout.write("no newline");';
    await paas.ok(['push', 'garbled'], { cwd: web(code) });
    await paas.ok(['stop', '-a', 'garbled']);
    const lines = await paas.waitFor('all lines', async () => {
      const found = (await paas.logs('garbled', '--source', 'app')).map(({ line }) => line);
      return found.includes('no newline') && found;
    });
    expect(lines).toEqual(['a\ufffd\ufffdb', '\u0000c', '\u001b[31mred\u001b[0m', 'no newline']);
  });

  it('that closes its output, or has none, runs on', async () => {
    await paas.ok(['push', 'silent'], { cwd: web('require("fs").closeSync(1); require("fs").closeSync(2);') });
    expect((await paas.get('silent')).text).toBe('ok');
  });

  it('that prints 100 MB in one go: no line is lost, and others are served meanwhile', async () => {
    // 100,000 lines of 1,000 bytes in one write, each with its number.
    const code =
      'let s = ""; for (let i = 0; i < 100000; i++) s += String(i).padStart(999, ".") + "\\n"; process.stdout.write(s, () => console.log("all of it"));';
    const load = paas.load('silent');
    await paas.ok(['push', 'loud'], { cwd: web(code) });
    await paas.waitFor(
      'the last line',
      async () => (await paas.logs('loud', '-n', '1', '--grep', '^all of it$'))[0],
      120_000,
    );
    const words = ['logs', '-a', 'loud', '--source', 'app', '-n', 'all', '--json', '--process', 'web'];
    const { stdout } = await paas.ok(words, { timeoutMs: 120_000 });
    const lines = stdout.split('\n').slice(0, -1);
    expect(lines.filter((line) => line.startsWith('{"gap"'))).toEqual([]);
    expect(lines.length).toBe(100_001);
    const wrong = lines.slice(0, -1).findIndex((line, i) => !line.includes(`.${i}"`));
    expect(lines[wrong] ?? 'none').toBe('none');
    expect((await load.stop()).failures).toEqual([]);
    await paas.ok(['destroy', 'loud', '--yes']);
  }, 400_000);

  it('that fills its disk space of /tmp and memory files does not take the host with it', async () => {
    const code =
      'const fs = require("fs"); try { for (let i = 0; i < 40; i++) fs.writeFileSync("/tmp/f" + i, Buffer.alloc(8 << 20)); } catch (e) { console.log("stopped: " + e.code); }';
    const pushed = await paas.cli(['push', 'filler', '-m', '96M', '--json'], { cwd: web(code), timeoutMs: 150_000 });
    expect([0, 8]).toContain(pushed.code);
    await paas.ok(['destroy', 'filler', '--yes']);
  });

  it('that answers no request to end a connection is drained and stopped all the same', async () => {
    const code = 'require("http").createServer((q, r) => { r.write("begun "); }).listen(process.env.PORT); 0 &&';
    const cwd = web(code);
    writeFileSync(join(cwd, 'paas.yml'), 'name: endless\nprocesses: { web: { command: node app.js, grace: 1s } }\n');
    await paas.ok(['push'], { cwd });
    const hanging = paas.get('endless', '/', { timeoutMs: 100_000 }).catch((error: unknown) => String(error));
    await paas.ok(['stop', '-a', 'endless', '--timeout', '60s']);
    await hanging;
    expect(await paas.ps('endless')).toEqual([]);
  });

  it('that crashes after 20 s is started again', async () => {
    const row = await paas.waitFor(
      'its end',
      async () => (await paas.ps('late')).find(({ restarts }) => restarts > 0),
      60_000,
    );
    expect(row.exit).toMatchObject({ code: 9, reason: 'exited' });
    await paas.serves('late', 'ok');
    await paas.waitFor('its last words', async () => (await paas.logs('late', '--grep', 'the end')).length > 0);
  });
});
