/** Manifests that are wrong: each is refused with the place and the remedy, and nothing is changed anywhere. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform();
});
afterAll(() => paas.remove());

/** Pushes the probe with these files, which must be refused with exit 3, for people and for scripts. */
async function refused(files: Record<string, string>): Promise<string> {
  const cwd = paas.source('probe', files);
  const told = await paas.cli(['push', 'wrong', '--json'], { cwd });
  expect([told.code, told.error.code], told.toString()).toEqual([3, 'manifest_invalid']);
  expect(told.error.hint).toMatch(/Correct the lines?/);
  const { code, stdout, stderr } = await paas.cli(['push', 'wrong'], { cwd });
  expect([code, stdout]).toEqual([3, '']);
  expect(stderr).toContain(`Error: ${told.error.message}`);
  expect(await paas.app('wrong')).toBeUndefined();
  expect((await paas.cloudHosts()).length).toBe(1);
  return told.error.message;
}

describe('a manifest with', () => {
  it('a wrong type is refused with line, column and what belongs there', async () => {
    const yaml = 'processes:\n  web:\n    command: node server.js\n    instances: many\n';
    expect(await refused({ 'paas.yml': yaml })).toBe(
      '`processes.web.instances` must be a whole number from 0 to 1000, not the text `many` at paas.yml:4:16',
    );
  });

  it('an unknown key is refused with the nearest known one', async () => {
    const yaml = 'processes:\n  web:\n    comand: node server.js\n';
    expect(await refused({ 'paas.yml': yaml })).toBe('unknown key `comand` at paas.yml:3:5; did you mean `command`?');
  });

  it('a duplicate key is refused with both places', async () => {
    const yaml = 'config: { A: one }\nprocesses: { web: { command: node server.js } }\nconfig: { A: two }\n';
    expect(await refused({ 'paas.yml': yaml })).toBe(
      'duplicate key `config` at paas.yml:3:1; it is first given in line 1',
    );
  });

  it('several mistakes is refused with all of them at once', async () => {
    const yaml = 'stack: 5\nprocesses:\n  web: { memory: 256, grace: 1s, grace: 2s }\nroute: [x.example.com]\n';
    const message = await refused({ 'paas.yml': yaml });
    expect(message).toMatch(/^4 problems in paas\.yml:/);
    for (const place of ['paas.yml:1:8', 'paas.yml:3:18', 'paas.yml:3:34', 'paas.yml:4:1'])
      expect(message).toContain(place);
  });

  it('text that is no YAML, or no text, is refused with the place', async () => {
    expect(await refused({ 'paas.yml': 'processes:\n  web: { command: "node server.js }\n' })).toMatch(
      /paas\.yml:\d+:\d+/,
    );
    expect(await refused({ 'paas.yml': 'name: a\u0000b\n' })).toMatch(/paas\.yml:\d+:\d+/);
  });

  it('a bomb of aliases is refused rather than unfolded', async () => {
    const lines = ['a: &a [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 9; i++) {
      const [before, name] = ['abcdefghi'[i - 1], 'abcdefghi'[i]];
      lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(', ')}]`);
    }
    await refused({ 'paas.yml': `${lines.join('\n')}\n` });
  });
});

describe('other manifests', () => {
  it('of Cloud Foundry: a duplicate key is refused by place', async () => {
    const yaml = 'applications:\n- name: wrong\n  instances: many\n  instances: 2\n';
    const message = await refused({ 'manifest.yml': yaml });
    expect(message).toContain('manifest.yml:4:3');
  });

  it('a Procfile that gives a process twice, or has a line that is none, is refused by line', async () => {
    const message = await refused({ Procfile: 'web: node server.js\r\nnot a line\r\nweb: node other.js\r\n' });
    expect(message).toContain('Procfile:2:1');
    expect(message).toContain('Procfile:3:1');
  });

  it('an app.json with a wrong type is refused by place', async () => {
    const message = await refused({ 'app.json': '{ "formation": { "web": { "quantity": "many" } } }' });
    expect(message).toMatch(/app\.json:1:\d+/);
  });
});
