import { describe, expect, it } from 'vitest';
import type { ReleaseFacts } from '../../../../src/control/agents/assignments.ts';
import { appEnvironment } from '../../../../src/control/deploy/environment.ts';
import { oldTargets, type Effects } from '../../../../src/control/deploy/effects.ts';
import type { Formation } from '../../../../src/control/deploy/types.ts';
import { appRow } from '../../../support/rows.ts';

const facts = (config: Record<string, string>): ReleaseFacts => ({
  app: appRow('app_1', { name: 'shop', project: 'store', environment: 'prod' }),
  release: { version: 12 } as ReleaseFacts['release'],
  image: { env: '{"NODE_ENV":"production","A":"stack"}' } as ReleaseFacts['image'],
  processes: { web: {} } as unknown as ReleaseFacts['processes'],
  config,
});
const environment = (config: Record<string, string> = {}) =>
  appEnvironment(facts(config), { name: 'web.3', ordinal: 3, memoryMb: 256 }, 'example.com');

describe('the environment of an app', () => {
  it('has what the platform says of the instance, in its own words and in those of others', () => {
    const env = environment();
    expect(env).toMatchObject({
      ...{ PAAS_APP_NAME: 'shop', PAAS_PROJECT_NAME: 'store', PAAS_ENVIRONMENT: 'prod', PAAS_RELEASE: 'v12' },
      ...{ PAAS_INSTANCE: 'web.3', MEMORY_LIMIT: '256m', DYNO: 'web.3', CF_INSTANCE_INDEX: '2', VCAP_SERVICES: '{}' },
    });
    expect(JSON.parse(env['VCAP_APPLICATION']!)).toMatchObject({
      ...{ application_name: 'shop', space_name: 'prod', instance_index: 2, limits: { mem: 256 } },
      uris: ['shop-prod-store.example.com'],
    });
  });

  it('has config over what the stack sets', () => {
    expect(environment({ A: 'config' })).toMatchObject({ NODE_ENV: 'production', A: 'config' });
  });

  it('has the platform’s own names whatever config says, except for services', () => {
    const env = environment({ PAAS_APP_NAME: 'mine', DYNO: 'mine', VCAP_SERVICES: '{"db":[]}' });
    expect(env).toMatchObject({ PAAS_APP_NAME: 'shop', DYNO: 'web.3', VCAP_SERVICES: '{"db":[]}' });
  });

  it('has none of the names that the CLI itself reads', () => {
    const names = Object.keys(environment());
    for (const name of ['PAAS_APP', 'PAAS_PROJECT', 'PAAS_ENV', 'PAAS_URL', 'PAAS_HOME'])
      expect(names).not.toContain(name);
  });
});

describe('the full strength of an old release', () => {
  const formation = (instances: number): Formation => ({
    web: { kind: 'web', instances, memoryMb: 1, cpu: null, schedule: null },
  });
  const effects = (before: Formation, after: Formation): Effects => ({
    ...{ formationBefore: before, formationAfter: after, configBefore: 0, configAfter: 0, manifestBefore: null },
    ...{ routesAdded: [], routesToRemove: [], stateBefore: 'active' },
  });
  it.each([
    ['is as before', formation(2), formation(5), formation(5), 2],
    ['follows a scale during the rollout', formation(2), formation(5), formation(7), 7],
    ['follows a scale to nothing', formation(2), formation(5), formation(0), 0],
    ['is nothing where nothing was', {}, formation(5), formation(5), 0],
    ['is as before for what the new release lacks', formation(3), {}, {}, 3],
  ])('%s', (_, before, after, present, expected) => {
    expect(oldTargets(effects(before, after), present, ['web'])).toEqual({ web: expected });
  });
});
