import { describe, expect, it } from 'vitest';
import { parseStaticfile } from '../../../src/stacks/static.ts';
import { planOf, webOf } from './support.ts';

describe('static', () => {
  it('puts the file server into the app and builds nothing', async () => {
    const plan = await planOf({ 'index.html': '' });
    expect(plan.commands).toEqual([]);
    expect(plan.files).toEqual({ '.paas/static-server.mjs': { text: '// static-server.js', mode: 0o644 } });
    expect(webOf(plan)).toBe('node .paas/static-server.mjs --root .,public,dist,build,_site');
  });

  it('serves what the Staticfile says', async () => {
    const plan = await planOf({ Staticfile: 'root: web/out/\npushstate: enabled\n' });
    expect(webOf(plan)).toBe('node .paas/static-server.mjs --root web/out --pushstate');
  });

  it('looks where builds put sites first when there is a build', async () => {
    const plan = await planOf({ 'index.html': '', 'public/x': '' }, { build: 'make' });
    expect(plan.commands.map(({ run }) => run)).toEqual(['make']);
    expect(webOf(plan)).toContain('--root dist,build,_site,public,.');
  });

  it('warns that a password is not asked for', async () => {
    expect((await planOf({ Staticfile: '', 'Staticfile.auth': 'x:y' })).warnings[0]).toContain('WITHOUT a password');
  });
});

describe('a Staticfile', () => {
  it('takes comments, quotes, CRLF and `---`', () => {
    const text = '---\r\n# where\r\nroot: "public" # here\r\npushstate: disabled\r\n';
    expect(parseStaticfile(text)).toEqual({ root: 'public', pushstate: false, warnings: [] });
  });

  it('names what has no effect, unless it is turned off', () => {
    const { warnings } = parseStaticfile('directory: visible\nssi: disabled\nnonsense\n');
    expect(warnings.map((line) => /'(.*)'/.exec(line)?.[1])).toEqual(['directory', 'nonsense']);
  });

  it.each(['/etc', '../x', 'a/../../b'])('refuses the root %s', (root) => {
    expect(() => parseStaticfile(`root: ${root}`)).toThrow(/not a directory of the app/);
  });
});
