/** Heroku's `app.json`: config, formation and buildpacks, for what a Procfile starts. */
import { formatSize } from '../../shared/units.ts';
import { stackOfBuildpacks } from './buildpacks.ts';
import { kindOf, newDraft, processOf, type Draft } from './draft.ts';
import { integer, leaf, oneOf, slugify, text, truth, verbatim } from './leaves.ts';
import type { Problems } from './problems.ts';
import { Reader } from './read.ts';
import { configName } from './schema.ts';
import { child, type TreeNode } from './tree.ts';
import { dropped, field, list, map, object, type Value } from './types.ts';

const envValue = leaf('text or a map', (node) => {
  const value = verbatim.read(node);
  return value === undefined ? undefined : { value };
});

const buildpackUrl = leaf('text or a map', (node) => {
  const url = text.read(node);
  return url === undefined ? undefined : { url };
});

const anyProcess = { expected: 'the name of a process type', pattern: /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/ };

/** After "app.json Schema" of devcenter.heroku.com. */
export const appJson = object(
  {
    name: field(text, 'The app, as a DNS label.'),
    env: field(
      map(
        configName,
        object(
          {
            value: field(verbatim, 'The value.'),
            required: field(truth, 'Whether a value must be given (true where absent).'),
            generator: field(oneOf('secret'), 'A random value, made up at the first push.'),
            description: field(
              leaf('text', (node) => node.text),
              'Shown when the value is missing.',
            ),
          },
          { unknown: 'warned', shorthand: envValue },
        ),
      ),
      '`config`. `required` without a value must be given with `--config`; `generator: secret` is made up at the first push.',
    ),
    formation: field(
      map(
        anyProcess,
        object(
          {
            quantity: field(integer(0, 1000), '`instances`.'),
            size: field(text, '`memory`, by the size of that dyno.'),
          },
          { unknown: 'warned' },
        ),
      ),
      '`processes`: `quantity` is `instances`, `size` becomes `memory`.',
    ),
    buildpacks: field(
      list(
        object({ url: field(text, 'Name or URL.') }, { unknown: 'warned', shorthand: buildpackUrl }),
        'a list of buildpacks',
      ),
      '`stack` (of the last one), where one does the same.',
    ),
    scripts: field(
      object(
        {
          postdeploy: dropped('run it once with `paas run`, or as `release` before each rollout.'),
          'pr-predestroy': dropped('there are no review apps.'),
          test: dropped('tests are for the build server.'),
          'test-setup': dropped('tests are for the build server.'),
        },
        { unknown: 'warned' },
      ),
      'No effect.',
    ),
    stack: dropped('it names a root file system of Heroku; see `base` in paas.yml.'),
    addons: dropped('services are not bound; give their addresses with `paas config set`.'),
    image: dropped('it is deprecated.'),
    $schema: dropped(),
    description: dropped(),
    keywords: dropped(),
    website: dropped(),
    repository: dropped(),
    logo: dropped(),
    success_url: dropped(),
    // Read apart, and only the one that is pushed to: the others would warn of what has no effect now.
    environments: dropped(),
  },
  { unknown: 'warned' },
);

type AppJson = Value<typeof appJson>;

/** MiB of Heroku's dyno sizes ("Dyno Types", devcenter.heroku.com). */
const dynoMemory = new Map([
  ...['free', 'hobby', 'eco', 'basic', 'standard', 'standard-1x', '1x'].map((name) => [name, 512] as const),
  ...['standard-2x', '2x', 'private-s', 'shield-s'].map((name) => [name, 1024] as const),
  ...['performance-m', 'private-m', 'shield-m', 'pm'].map((name) => [name, 2560] as const),
  ...['performance', 'performance-l', 'private-l', 'shield-l', 'pl', 'px'].map((name) => [name, 14 * 1024] as const),
  ...['performance-l-ram', 'private-l-ram'].map((name) => [name, 30 * 1024] as const),
  ...['performance-xl', 'private-xl'].map((name) => [name, 62 * 1024] as const),
  ...['performance-2xl', 'private-2xl'].map((name) => [name, 126 * 1024] as const),
]);

/** Reads a parsed `app.json` with what it says of one environment laid over the rest. */
export function readAppJson(tree: TreeNode, environment: string, problems: Problems): Draft {
  const reader = new Reader(problems);
  const base = reader.read(appJson, tree, '') ?? {};
  const overlayTree = child(child(tree, 'environments'), environment);
  const scope = `environments.${environment}`;
  const overlay: AppJson = overlayTree === undefined ? {} : (reader.read(appJson, overlayTree, scope) ?? {});
  const position = (path: string) => reader.positions.get(`${scope}.${path}`) ?? reader.positions.get(path) ?? tree.at;

  const draft = newDraft();
  if (base.name !== undefined) draft.name = { text: base.name, at: position('name') };
  const buildpacks = (overlay.buildpacks ?? base.buildpacks ?? []).flatMap(({ url }) =>
    url === undefined ? [] : [url],
  );
  const stack = stackOfBuildpacks(buildpacks, position('buildpacks'), problems);
  if (stack !== undefined) draft.app.stack = stack;

  const config: [string, string][] = [];
  for (const [name, entry] of Object.entries({ ...base.env, ...overlay.env })) {
    if (entry.value !== undefined) config.push([name, entry.value]);
    else if (entry.generator !== undefined) draft.generated.push(name);
    else if (entry.required !== false) {
      const { description } = entry;
      draft.required.push({ name, at: position(`env.${name}`), ...(description === undefined ? {} : { description }) });
    }
  }
  if (config.length > 0) draft.app.config = Object.fromEntries(config);

  for (const [name, { quantity, size }] of Object.entries({ ...base.formation, ...overlay.formation })) {
    const type = slugify(name);
    const memory = size === undefined ? undefined : dynoMemory.get(size.toLowerCase());
    if (size !== undefined) {
      const meaning =
        memory === undefined ? 'is not known and has no effect' : `becomes ${formatSize(memory)} of memory`;
      problems.warn(`the dyno size \`${size}\` of \`${name}\` ${meaning}`, position(`formation.${name}.size`));
    }
    draft.app.processes[type] = processOf(kindOf(type), {
      ...(quantity === undefined ? {} : { instances: quantity }),
      ...(memory === undefined ? {} : { memory }),
    });
  }
  return draft;
}
