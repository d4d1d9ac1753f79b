import { describe, expect, it } from 'vitest';
import { detectStack } from '../../../src/stacks/detect.ts';
import { contextOf, stackOf, stacks } from './support.ts';

const web = (command: string) => ({ processes: { web: { kind: 'web' as const, command } } });

describe('which stack', () => {
  it.each([
    ['node', { 'package.json': '{}', 'index.html': '', Procfile: 'web: x' }],
    ['static', { 'package.json': '{}', Staticfile: '', 'public/index.html': '' }],
    ['python', { 'requirements.txt': '', Procfile: 'web: gunicorn app:app' }],
    ['python', { 'pyproject.toml': '[project]\nname = "x"\n' }],
    ['python', { 'setup.py': '' }],
    ['python', { 'web.py': '', 'jobs.py': '', Procfile: 'web: python web.py' }],
    ['python', { 'app.py': '', 'index.html': '' }],
    ['java', { 'pom.xml': '' }],
    ['java', { gradlew: '' }],
    ['java', { 'app.jar': '', Procfile: 'web: java -jar app.jar' }],
    ['java', { 'Main.java': '' }],
    ['java', { 'META-INF/MANIFEST.MF': 'Main-Class: a.B\n' }],
    ['procfile', { Procfile: 'web: ./serve', serve: '' }],
    ['procfile', { Procfile: 'web: ./serve', 'tools.py': '', 'index.html': '' }],
    ['static', { 'index.html': '' }],
    ['static', { 'dist/index.html': '' }],
    ['static', { 'pyproject.toml': '[tool.black]\nline-length = 100\n', 'public/index.html': '' }],
  ])('is %s for %o', async (name, files) => {
    expect(await stackOf(files as unknown as Record<string, string>)).toBe(name);
  });

  it('goes by a command of the manifest as by a Procfile', async () => {
    expect(await stackOf({ serve: '' }, web('./serve'))).toBe('procfile');
    expect(await stackOf({ 'a.py': '', 'b.py': '' }, web('python3 a.py'))).toBe('python');
  });

  it('is the one that the manifest names', async () => {
    expect(await stackOf({ 'package.json': '{}' }, { stack: 'static' })).toBe('static');
  });

  it('refuses an unknown name and lists the known ones', async () => {
    await expect(stackOf({}, { stack: 'rust' })).rejects.toMatchObject({
      code: 'stack_unknown',
      message: expect.stringMatching(/'rust'.*static, node, python, java, procfile/) as string,
    });
  });

  it('says what was looked for when nothing fits', async () => {
    await expect(stackOf({ 'notes.txt': '' })).rejects.toMatchObject({
      code: 'stack_unknown',
      message: expect.stringMatching(/package\.json.*requirements\.txt.*pom\.xml.*Procfile/) as string,
    });
  });

  it('says that a Dockerfile is not built', async () => {
    await expect(stackOf({ Dockerfile: 'FROM x' })).rejects.toMatchObject({
      code: 'stack_unknown',
      message: expect.stringContaining('Dockerfile') as string,
    });
  });

  it('says that an empty source is empty', async () => {
    await expect(stackOf({})).rejects.toMatchObject({ message: 'The source is empty.' });
  });

  it('names what it recognised', async () => {
    const { detection } = await detectStack(stacks, contextOf({ 'pom.xml': '' }));
    expect(detection.reason).toBe('pom.xml');
  });
});
