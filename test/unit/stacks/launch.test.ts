import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { launchArgv, launchLine, pathLine, shellQuote } from '../../../src/stacks/support/launch.ts';
import { planOf } from './support.ts';

const sh = (line: string): string => execFileSync('sh', ['-c', line], { encoding: 'utf8' });

describe('a profile', () => {
  it('adds nothing to a command when there is none, but gets the shell out of its way', () => {
    expect(launchLine('', 'node server.js')).toBe('exec node server.js');
    expect(launchArgv('', ['node', 'a b'])).toEqual(['node', 'a b']);
  });

  it.each([
    'gunicorn app:app --bind 0.0.0.0:$PORT',
    `java $JAVA_OPTS -jar "$(cat .paas/jar)"`,
    `./bin/serve --title 'a; b & c' "d | e"`,
  ])('lets the shell be replaced by: %s', (command) => {
    expect(launchLine('', command)).toBe(`exec ${command}`);
  });

  it.each([
    'node a.js && node b.js',
    'cd app; node x.js',
    'cd app',
    'A=1 node x.js',
    'exec node x.js',
    'node x.js > log',
    '(node x.js)',
    'if true; then node x.js; fi',
    'node `which x`',
    'echo $(date)',
    'node x.js\nnode y.js',
    `echo "it's`,
    '"/app/a b"',
    '',
  ])('leaves to the shell: %j', (command) => {
    expect(launchLine('', command)).toBe(command);
  });

  it('is in force for the whole command line', () => {
    expect(sh(launchLine('export A="it works"', `echo "$A" 'and on' && echo "$A"`))).toBe(
      'it works and on\nit works\n',
    );
  });

  it('is in force for an argv, word by word', () => {
    const [file = '', ...args] = launchArgv('export A=1', ['printf', '%s|', 'a b', '$A', "'"]);
    expect(execFileSync(file, args, { encoding: 'utf8' })).toBe("a b|$A|'|");
  });

  it('puts directories of the app first', () => {
    expect(sh(`cd /tmp && ${pathLine('x/bin', 'y')}\necho "$PATH"`)).toMatch(/^\/tmp\/x\/bin:\/tmp\/y:/);
  });

  it('takes up scripts as Heroku has them', async () => {
    const { profile } = await planOf({ Procfile: 'web: x', '.profile.d/a.sh': '', '.profile': '' });
    expect(profile).toBe('for profile in ./.profile.d/*.sh; do . "$profile"; done\n. ./.profile');
  });

  it('puts no shell between the platform and a simple command: the app gets the signal', async () => {
    const app = `process.on("SIGTERM", () => { console.log("bye"); process.exit(3) }); setInterval(() => 0, 1e6); console.log("up")`;
    const line = launchLine('export A=1', `node -e '${app}'`);
    const child = spawn('sh', ['-c', line], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    while (!output.includes('up')) await once(child.stdout, 'data');
    child.kill('SIGTERM');
    const [code] = (await once(child, 'close')) as [number | null];
    expect([output, code]).toEqual(['up\nbye\n', 3]);
  });
});

describe('quoting', () => {
  it.each(['', 'a b', "it's", '$HOME `x` "y" \\', 'line\nbreak', '*'])('keeps %j', (word) => {
    expect(sh(`printf %s ${shellQuote(word)}`)).toBe(word);
  });
});
