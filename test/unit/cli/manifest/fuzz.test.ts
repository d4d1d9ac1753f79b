import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readAppJson } from '../../../../src/cli/manifest/app-json.ts';
import { readCf } from '../../../../src/cli/manifest/cf.ts';
import { decode } from '../../../../src/cli/manifest/files.ts';
import type { Draft } from '../../../../src/cli/manifest/draft.ts';
import { readPaasYml } from '../../../../src/cli/manifest/paas-yml.ts';
import { Problems } from '../../../../src/cli/manifest/problems.ts';
import { readProcfile } from '../../../../src/cli/manifest/procfile.ts';
import { interpolate } from '../../../../src/cli/manifest/vars.ts';
import { parseYaml } from '../../../../src/cli/manifest/yaml.ts';
import { exampleManifest } from '../../../../src/cli/manifest/reference.ts';
import { appSpec } from '../../../../src/shared/contracts/app-spec.ts';
import { PaasError } from '../../../../src/shared/errors.ts';

/** Whatever comes in: a spec that the server takes, or a typed error; nothing else, and in time. */
async function holds(read: (problems: Problems) => Promise<Draft | undefined> | Draft): Promise<void> {
  const problems = new Problems();
  try {
    const draft = await read(problems);
    problems.throwIfAny();
    if (draft !== undefined) appSpec.parse({ name: 'x', ...draft.app });
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(PaasError);
  }
}

const formats: Record<string, (text: string, problems: Problems) => Promise<Draft | undefined> | Draft> = {
  'paas.yml': async (text, problems) => {
    const tree = await parseYaml(text, 'f', problems);
    return tree && readPaasYml(tree, 'prod', problems);
  },
  'manifest.yml': async (text, problems) => {
    const tree = await parseYaml(text, 'f', problems);
    if (tree === undefined) return undefined;
    return readCf(interpolate(tree, { flags: { a: '1', b: 'x' }, files: [tree] }, problems), 'x', problems);
  },
  'app.json': async (text, problems) => {
    const tree = await parseYaml(text, 'f', problems);
    return tree && readAppJson(tree, 'test', problems);
  },
  Procfile: (text, problems) => readProcfile(text, 'f', problems),
};

const words = fc.constantFrom(
  ...['name', 'processes', 'web', 'command', 'memory', 'health', 'routes', 'config', 'environments', 'prod', 'env'],
  ...[
    'applications',
    'instances',
    'timeout',
    'formation',
    'quantity',
    'size',
    'buildpacks',
    'url',
    'type',
    'cron',
    'schedule',
  ],
  ...[
    '((a))',
    '((b))',
    '"* * * * *"',
    '256M',
    '60s',
    '/x',
    'a.com',
    '1',
    '-1',
    '1.5',
    '~',
    'true',
    '""',
    '__proto__',
    'constructor',
  ],
  ...[
    ':',
    ': ',
    '- ',
    '\n',
    '\n  ',
    '\n    ',
    '{',
    '}',
    '[',
    ']',
    ', ',
    '&a ',
    '*a',
    '<<: ',
    '"',
    "'",
    '#',
    '|',
    '>',
    '? ',
    '!',
    '!!str ',
  ],
  ...['\t', '\r\n', '\0', '\ufeff', '%YAML 1.1\n---\n', '---\n', 'release: x\n', '"value"'],
);

/** Any tree of data under keys that mean something. */
const keys = fc.constantFrom(
  ...[
    'name',
    'processes',
    'web',
    'x',
    'command',
    'instances',
    'memory',
    'cpu',
    'health',
    'path',
    'schedule',
    'type',
    'routes',
    'config',
  ],
  ...[
    'env',
    'environments',
    'prod',
    'test',
    'applications',
    'rollout',
    'timeout',
    'formation',
    'size',
    'buildpacks',
    'value',
    'docker',
  ],
  ...['required', 'generator', 'A', '__proto__', 'services', 'no-route', 'route', 'health-check-type'],
);
const { tree: anyTree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.oneof(
      fc.constantFrom('a.com', 'web', 'cron', '* * * * *', '256M', '60s', 'http', '/x', '((a))', 'node', true, null),
      fc.integer(),
      fc.double(),
      fc.string(),
    ),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(keys, tie('tree'), { maxKeys: 6 }),
  ),
}));

describe.each(Object.entries(formats))('%s', { timeout: 60_000 }, (_, read) => {
  test('any text', async () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.array(words, { maxLength: 60 }).map((parts) => parts.join('')),
    );
    await fc.assert(
      fc.asyncProperty(texts, (text) => holds((problems) => read(text, problems))),
      { numRuns: 700 },
    );
  });

  test('any data', async () => {
    const wrapped = fc.oneof(
      anyTree,
      fc.record({ applications: fc.array(fc.dictionary(keys, anyTree), { maxLength: 2 }) }),
    );
    await fc.assert(
      fc.asyncProperty(wrapped, (data) => holds((problems) => read(JSON.stringify(data), problems))),
      { numRuns: 700 },
    );
  });

  test('a good file cut off or with a byte changed', async () => {
    const bytes = Buffer.from(exampleManifest);
    const flaw = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), fc.boolean());
    await fc.assert(
      fc.asyncProperty(flaw, ([at, byte, cut]) => {
        const changed = Buffer.from(cut ? bytes.subarray(0, at) : bytes);
        if (!cut) changed[at] = byte;
        return holds((problems) => read(decode(changed, 'f', problems), problems));
      }),
      { numRuns: 300 },
    );
  });
});

test.each([
  '[',
  '{',
  '{a: ',
  '- ',
  '? ',
  '"',
  '&a ',
  '*a\n',
  ': ',
  '!!x ',
  '#',
  '|\n',
  '%YAML\n',
  '---\n',
  '}',
  '\t',
  '\r',
])(
  '16 KiB of %j end in time',
  async (unit) => {
    const text = unit.repeat(16_384 / unit.length);
    for (const read of [formats['paas.yml']!, formats['Procfile']!]) await holds((problems) => read(text, problems));
  },
  60_000,
);
