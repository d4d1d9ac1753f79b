import { describe, expect, test } from 'vitest';
import { manifestReference } from '../../../../src/cli/manifest/reference.ts';
import { healthFields, paasSchema, processFields, rolloutFields } from '../../../../src/cli/manifest/schema.ts';
import { nearest } from '../../../../src/cli/manifest/nearest.ts';
import { load } from './support.ts';

test('docs/manifest.md is what the tables say (written anew by `vitest -u`)', async () => {
  await expect(manifestReference()).toMatchFileSnapshot('../../../../docs/manifest.md');
});

describe('every example of the tables is valid', () => {
  const cases = [
    ...Object.entries(paasSchema.fields).map(([key, { example }]) => [key, `${key}: ${example}`]),
    ...Object.entries(processFields).map(([key, { example }]) => {
      const type = key === 'type' ? '' : key === 'schedule' ? 'type: cron, ' : '';
      return [`processes.web.${key}`, `processes: { web: { ${type}${key}: ${example} } }`];
    }),
    ...Object.entries(healthFields).map(([key, { example }]) => [
      `health.${key}`,
      `processes: { web: { health: { ${key}: ${example} } } }`,
    ]),
    ...Object.entries(rolloutFields).map(([key, { example }]) => [`rollout.${key}`, `rollout: { ${key}: ${example} }`]),
  ];
  test.each(cases)('%s', async (_, text) => {
    const { warnings } = await load({ 'paas.yml': text });
    expect(warnings).toEqual([]);
  });
});

test.each([
  ['comand', 'command'],
  ['mem', 'memory'],
  ['max-in-flight', 'max_in_flight'],
  ['nmae', 'name'],
  ['Instances', 'instances'],
  ['x', undefined],
  ['nothing-like-it', undefined],
  ['y'.repeat(10_000), undefined],
])('the known word nearest to %s', (word, expected) => {
  expect(nearest(word, ['command', 'memory', 'max_in_flight', 'name', 'instances'])).toBe(expected);
});
