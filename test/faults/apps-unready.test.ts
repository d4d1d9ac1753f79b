/** Apps that do not come up: exit 8, the reason, the last words, and whatever served before serves on. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type CliResult, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
});
afterAll(() => paas.remove());

const manifest = (name: string, command: string, timeout = '60s'): string =>
  `name: ${name}\nprocesses:\n  web: { command: ${JSON.stringify(command)}, health: { type: port, timeout: ${timeout} } }\n`;
const serve = `require("http").createServer((q,r)=>r.end("ok")).listen`;

/** What is wrong with each, how long it has, and what the user is told. To say its first word may take seconds on a busy machine. */
const unready: [string, string, string, RegExp][] = [
  ['never listens', '5s', 'echo alive; sleep 60', /nothing listens on PORT \(\d+\) after 5 s/],
  ['listens on the wrong port', '10s', `echo alive; node -e '${serve}(0)'`, /listens on port \d+, but PORT is \d+/],
  [
    'listens on loopback only',
    '10s',
    `echo alive; node -e '${serve}(process.env.PORT,"127.0.0.1")'`,
    /bind 0\.0\.0\.0/,
  ],
  ['crashes at once', '60s', 'echo alive; exit 7', /exited with code 7/],
  ['is killed at once', '60s', 'echo alive; kill -9 $$', /SIGKILL/],
];

describe.each(unready)('an app that %s', (what, timeout, command, reason) => {
  const name = what.replaceAll(' ', '-');

  function expectTold({ code, error }: CliResult): void {
    expect([code, error.code], JSON.stringify(error)).toEqual([8, 'unhealthy']);
    expect(error.message).toMatch(reason);
    expect(error.hint).toContain('paas logs');
    expect(error.details['lastLines']).toContain('alive');
  }

  it('fails its first push, and leaves nothing running', async () => {
    const cwd = paas.directory({ 'paas.yml': manifest(name, command, timeout), 'file.txt': 'x' });
    expectTold(await paas.cli(['push', '--json'], { cwd }));
    await paas.waitFor('the router to say so', async () => (await paas.get(name)).status === 503);
    await paas.waitFor('its instances to be gone', async () => (await paas.ps(name)).length === 0);
    // The one that was just being started again when the push was given up was asked to end, too.
    expect((await paas.ps(name, '--all')).filter(({ exit }) => exit?.reason === 'killed')).toEqual([]);
    await paas.waitFor('its words', async () => (await paas.logs(name, '--grep', '^alive$')).length > 0);
  });

  it('is mended by the next push, and does not get past it again', async () => {
    const cwd = paas.source('probe', { 'paas.yml': manifest(name, 'node server.js') });
    await paas.ok(['push'], { cwd });
    const before = await paas.ps(name);
    const load = paas.load(name);
    writeFileSync(join(cwd, 'paas.yml'), manifest(name, command, timeout));
    const failed = await paas.cli(['push', '--json'], { cwd });
    expectTold(failed);
    expect(failed.error.hint).toMatch(/v\d+ still serves/);
    const rows = await paas.settled(name, { web: 1 });
    expect(rows.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
    const { failures, answers } = await load.stop();
    expect([failures, [...answers.keys()]]).toEqual([[], ['version 1']]);
  });
});
