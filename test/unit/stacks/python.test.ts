import { describe, expect, it } from 'vitest';
import { readRequirements } from '../../../src/stacks/support/python-requirements.ts';
import { textView } from '../../support/source-view.ts';
import { planOf, tools, webOf } from './support.ts';

const web = (command: string) => ({ processes: { web: { kind: 'web' as const, command } } });
const names = async (files: Record<string, string>) => (await planOf(files)).commands.map(({ name }) => name);
const keyOf = async (files: Record<string, string>, options = {}) =>
  (await planOf(files, options)).commands[0]?.cache?.key;

describe('python', () => {
  it('builds nothing for an app of the standard library alone', async () => {
    const plan = await planOf({ 'app.py': '', 'requirements.txt': '# nothing\n\n' });
    expect(plan).toMatchObject({ commands: [], files: {}, profile: '', env: { PYTHONUNBUFFERED: '1' } });
    expect(plan.needs.map(({ tool }) => tool)).toEqual(['python3']);
    expect(webOf(plan)).toBe('python3 app.py');
  });

  it('gives hosts that only know python3 the name that Procfiles use', async () => {
    const plan = await planOf({ 'app.py': '' }, web('python app.py'));
    expect(plan.files['.paas/bin/python']).toMatchObject({ mode: 0o755 });
    expect(plan.profile).toContain('.paas/bin');
    expect((await planOf({ 'app.py': '' }, web('python3 app.py'))).files).toEqual({});
  });

  it('installs requirements into an environment of its own and needs venv for it', async () => {
    const plan = await planOf({ 'app.py': '', 'requirements.txt': 'flask==3.0\n' });
    expect(plan.commands.map(({ name, cache }) => [name, cache?.paths])).toEqual([
      ['pip install -r requirements.txt', ['.paas/venv']],
    ]);
    expect(plan.needs).toEqual([
      { tool: 'python3', reason: 'this app has a requirements.txt' },
      { tool: 'python3-venv', reason: 'this app has a requirements.txt' },
    ]);
    expect(plan.sharedCaches).toEqual({ pip: 'PIP_CACHE_DIR' });
  });

  it('goes by requirements.txt, then pyproject.toml, then setup.py', async () => {
    const project = '[project]\nname = "x"\ndependencies = ["flask"]\n';
    const buildSystem = '[build-system]\nrequires = ["hatchling"]\n';
    const both = ['pip install (dependencies of pyproject.toml)', 'pip install .'];
    expect(await names({ 'requirements.txt': 'flask', 'pyproject.toml': project })).toEqual([
      'pip install -r requirements.txt',
    ]);
    expect(await names({ 'pyproject.toml': project })).toEqual(both.slice(0, 1));
    expect(await names({ 'pyproject.toml': project + buildSystem })).toEqual(both);
    expect(await names({ 'pyproject.toml': '[tool.poetry]\nname = "x"\n' })).toEqual(['pip install .']);
    expect(await names({ 'pyproject.toml': '[project]\nname = "x"\n', 'app.py': '' })).toEqual([]);
    expect(await names({ 'setup.py': '' })).toEqual(['pip install .']);
  });

  it('says what to do with a Pipfile', async () => {
    await expect(planOf({ Pipfile: '' })).rejects.toMatchObject({
      code: 'source_invalid',
      hint: expect.stringContaining('pipenv requirements') as string,
    });
  });

  it('runs `build:` and collectstatic inside the environment', async () => {
    const files = { 'requirements.txt': 'Django>=5\n', 'manage.py': '', 'site/wsgi.py': '' };
    const plan = await planOf(files, { build: 'make css' });
    expect(plan.commands.map(({ name }) => name).slice(1)).toEqual(['collectstatic', 'make css']);
    expect(plan.commands[2]?.run).toContain('.paas/venv/bin');
  });

  it('warns of another Python than the app asks for', async () => {
    const ask = async (text: string) => (await planOf({ 'app.py': '', 'runtime.txt': text })).warnings;
    expect(await ask('python-3.11.9\n')).toEqual([]);
    expect(await ask('python-3.1.2')).toHaveLength(1);
    expect(await ask('python-3.12.1')).toEqual(['The app asks for Python 3.12; the hosts have 3.11.2.']);
  });
});

describe('how a python app starts', () => {
  const flask = 'from flask import Flask\napp = Flask(__name__)\n';
  it.each([
    ['gunicorn app:app --bind 0.0.0.0:$PORT', { 'app.py': flask, 'requirements.txt': 'flask\ngunicorn' }],
    ['flask --app app run --host 0.0.0.0 --port $PORT', { 'app.py': flask, 'requirements.txt': 'Flask' }],
    [
      'uvicorn main:api --host 0.0.0.0 --port $PORT',
      { 'main.py': 'api: FastAPI = FastAPI()', 'requirements.txt': 'fastapi\nuvicorn[standard]' },
    ],
    [
      'gunicorn shop.wsgi --bind 0.0.0.0:$PORT',
      { 'manage.py': '', 'shop/wsgi.py': '', 'requirements.txt': 'gunicorn' },
    ],
    ['python3 manage.py runserver 0.0.0.0:$PORT', { 'manage.py': '' }],
    ['python3 server.py', { 'server.py': '', 'lib.py': '' }],
    ['python3 only.py', { 'only.py': '' }],
    [undefined, { 'a.py': '', 'b.py': '', 'requirements.txt': '' }],
  ])('%s', async (command, files) => {
    expect(webOf(await planOf(files as unknown as Record<string, string>))).toBe(command);
  });
});

describe('the key of the environment', () => {
  const base = {
    'app.py': '1',
    'requirements.txt': '-r base.txt\nx @ file:./v/x.whl\n',
    'base.txt': 'a',
    'v/x.whl': '1',
  };
  it('changes with what pip reads, not with the app', async () => {
    const key = await keyOf(base);
    expect(key).toBeDefined();
    expect(await keyOf({ ...base, 'app.py': '2' })).toBe(key);
    expect(await keyOf({ ...base, 'base.txt': 'b' })).not.toBe(key);
    expect(await keyOf({ ...base, 'v/x.whl': '2' })).not.toBe(key);
    expect(await keyOf(base, { tools: { ...tools, python3: '3.12.0' } })).not.toBe(key);
  });

  it('does not exist where the source itself is installed', async () => {
    expect(await keyOf({ ...base, 'requirements.txt': '-e .\n' })).toBeUndefined();
    expect(await keyOf({ ...base, 'requirements.txt': './libs/a[extra]\n' })).toBeUndefined();
  });
});

describe('requirements files', () => {
  it('are read with includes, constraints, comments, continuations and cycles', async () => {
    const view = textView({
      'requirements.txt': 'Flask_Login==1 \\\n  --hash=sha256:00 # why\n-r more/dev.txt\n--index-url https://x/\n',
      'more/dev.txt': 'gunicorn>=20 ; python_version > "3"\n-c pins.txt\n-r ../requirements.txt\n',
      'more/pins.txt': 'urllib3<2\n',
    });
    const { packages, inputs, any, installsSource } = await readRequirements(view, 'requirements.txt');
    expect([...packages]).toEqual(['flask-login', 'gunicorn']);
    expect(Object.keys(inputs)).toEqual(['requirements.txt', 'more/dev.txt', 'more/pins.txt']);
    expect([any, installsSource]).toEqual([true, false]);
  });

  it.each([
    ['https://example.com/x.whl', false],
    ['x @ https://example.com/x.zip', false],
    ['git+https://example.com/x.git#egg=x', false],
    ['./x-1.0.tar.gz', false],
    ['.', true],
    ['./x', true],
  ])('%s installs source: %s', async (line, installsSource) => {
    const found = await readRequirements(textView({ 'r.txt': line }), 'r.txt');
    expect(found).toMatchObject({ any: true, installsSource });
  });
});
