import { describe, expect, test } from 'vitest';
import { appSpec } from '../../../../src/shared/contracts/app-spec.ts';
import { load, problems } from './support.ts';

describe('a Procfile', () => {
  test('gives process types and the release command', async () => {
    const { spec, source, warnings } = await load({
      Procfile: `# as in a getting-started app
web: gunicorn gettingstarted.wsgi --log-file - --bind 0.0.0.0:$PORT

worker: celery -A app worker   # not a comment
release: python manage.py migrate
`,
    });
    expect(spec).toEqual({
      name: 'my-app',
      release: 'python manage.py migrate',
      processes: {
        web: { kind: 'web', command: 'gunicorn gettingstarted.wsgi --log-file - --bind 0.0.0.0:$PORT' },
        worker: { kind: 'worker', command: 'celery -A app worker   # not a comment' },
      },
    });
    expect([source, warnings]).toEqual(['Procfile', []]);
  });

  test.each([
    ['CRLF', 'web: run\r\nworker: work\r\n'],
    ['lone carriage returns', 'web: run\rworker: work'],
    ['a byte order mark', '\ufeffweb: run\nworker: work'],
    ['blanks around', '  web :run  \n\tworker:\twork\t'],
  ])('may have %s', async (_, text) => {
    const { spec } = await load({ Procfile: text });
    expect(spec.processes).toEqual({
      web: { kind: 'web', command: 'run' },
      worker: { kind: 'worker', command: 'work' },
    });
  });

  test('turns its process types into DNS labels and says so', async () => {
    const { spec, warnings } = await load({ Procfile: 'web: run\nmail_worker: mail\n' });
    expect(Object.keys(spec.processes)).toEqual(['web', 'mail-worker']);
    expect(warnings).toEqual([
      { message: 'the process type `mail_worker` is called `mail-worker` here', file: 'Procfile', line: 2, column: 1 },
    ]);
  });

  test.each([
    ['web: a\nworker: b\nweb: c', '3:1 duplicate process type `web`; it is first given in line 1'],
    ['a_b: 1\na-b: 2', '2:1 duplicate process type `a-b`; it is first given in line 1'],
    ['web:', '1:1 the process type `web` has no command'],
    ['\n  web run', '2:3 not a line of the form `type: command`; as in `web: node server.js`; comments begin with #'],
    ['we b: run', '1:1 not a line of the form `type: command`; as in `web: node server.js`; comments begin with #'],
    ['--: run', '1:1 not a line of the form `type: command`; as in `web: node server.js`; comments begin with #'],
    ['web: a\0b', '1:1 the process type `web` has no valid command'],
  ])('%j is refused', async (text, expected) => {
    expect(await problems({ Procfile: text })).toEqual([expected]);
  });
});

describe('an app.json', () => {
  /** In the style of the "app.json Schema" page of Heroku. */
  const example = `{
	"name": "Small Sharp Tool",
	"description": "This app does one little thing.",
	"keywords": ["productivity"],
	"website": "https://example.com/",
	"scripts": { "postdeploy": "bundle exec rake bootstrap" },
	"env": {
		"SECRET_TOKEN": { "description": "For signing.", "generator": "secret" },
		"WEB_CONCURRENCY": { "value": "5" },
		"LANG": "en_US.UTF-8",
		"OPTIONAL": { "required": false },
		"EMPTY": { "value": "" }
	},
	"formation": {
		"web": { "quantity": 2, "size": "standard-2x" },
		"mail_worker": { "quantity": 0, "size": "huge" }
	},
	"addons": ["openredis"],
	"buildpacks": [{ "url": "heroku/nodejs" }],
	"stack": "heroku-24",
	"environments": {
		"test": { "env": { "LANG": "C", "RACK_ENV": "test" }, "formation": { "web": { "quantity": 1 } } }
	}
}`;

  test('gives config, formation and stack, for what a Procfile starts', async () => {
    const { spec, generated, source, nameSource, notices } = await load({
      'app.json': example,
      Procfile: 'web: node index.js\nmail_worker: node mail.js\n',
    });
    expect(appSpec.parse(spec)).toEqual(spec);
    expect(spec).toEqual({
      name: 'small-sharp-tool',
      stack: 'node',
      config: { WEB_CONCURRENCY: '5', LANG: 'en_US.UTF-8', EMPTY: '' },
      processes: {
        web: { kind: 'web', command: 'node index.js', instances: 2, memoryMb: 1024 },
        'mail-worker': { kind: 'worker', command: 'node mail.js', instances: 0 },
      },
    });
    expect([generated, source, nameSource]).toEqual([['SECRET_TOKEN'], 'Procfile', 'app.json']);
    expect(notices).toEqual([
      'the process type `mail_worker` is called `mail-worker` here',
      '`scripts.postdeploy` has no effect: run it once with `paas run`, or as `release` before each rollout.',
      '`addons` has no effect: services are not bound; give their addresses with `paas config set`.',
      '`stack` has no effect: it names a root file system of Heroku; see `base` in paas.yml.',
      'the dyno size `standard-2x` of `web` becomes 1G of memory',
      'the dyno size `huge` of `mail_worker` is not known and has no effect',
    ]);
  });

  test('lays its own environment over the rest', async () => {
    const { spec, source } = await load({ 'app.json': example }, { environment: 'test' });
    expect(source).toBe('app.json');
    expect(spec.config).toMatchObject({ LANG: 'C', RACK_ENV: 'test', WEB_CONCURRENCY: '5' });
    expect(spec.processes['web']).toEqual({ kind: 'web', instances: 1 });
  });

  test('lists required values that are not given by flag or known to the platform', async () => {
    const files = {
      'app.json':
        '{"env": {"A": {"description": "The A."},\n"B": {"required": true}, "C": {}, "D": {"generator": "secret"}}}',
    };
    expect(await problems(files)).toEqual([
      '1:15 `A` (The A.) is required and has no value; give it with `--config A=…`',
      '2:6 `B` is required and has no value; give it with `--config B=…`',
      '2:31 `C` is required and has no value; give it with `--config C=…`',
    ]);
    const { spec, generated } = await load(files, {
      flags: { config: { A: '1', D: 'mine' } },
      knownConfig: (app) => Promise.resolve(app === 'my-app' ? ['B', 'C'] : []),
    });
    expect(spec.config).toEqual({ A: '1', D: 'mine' });
    expect(generated).toEqual([]);
  });

  test.each([
    ['{"env": {"A": "1",}}', /1:19 not valid JSON: Expected double-quoted property name/],
    ['{"name": s3cret}', /not valid JSON: Unexpected token/],
    ['', /1:1 not valid JSON/],
    ['[]', /1:1 `app.json` must be a map/],
    ['{"env": {"A": "1", "A": "2"}}', /1:20 duplicate key `A`/],
    ['{"env": {"A": [1]}}', /1:15 `env.A` must be a map of keys and values, not a list/],
    ['{"formation": {"web": {"quantity": -1}}}', /1:36 `formation.web.quantity` must be a whole number from 0 to 1000/],
    ['{"evn": {}}', /1:2 unknown key `evn`; did you mean `env`\?/],
  ])('%s is refused', async (text, expected) => {
    const all = (await problems({ 'app.json': text })).join('\n');
    expect(all).toMatch(expected);
    expect(all).not.toContain('s3cret');
  });

  test('of another tool is read with a warning', async () => {
    const { spec, notices } = await load({ 'app.json': '{"expo": {"slug": "x"}}' });
    expect(spec).toEqual({ name: 'my-app', processes: {} });
    expect(notices).toEqual(['`expo` has no effect: it is not a known attribute']);
  });
});
