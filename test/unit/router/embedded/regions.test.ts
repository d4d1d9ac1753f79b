/** The router's region database: read where a rule needs it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Regions } from '../../../../src/router/embedded/regions.ts';
import type { Backend, Condition } from '../../../../src/shared/contracts/routes.ts';
import { mmdb, place } from '../../../support/mmdb.ts';

let directory: string;
let path: string;
let regions: Regions;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paas-regions-'));
  path = join(directory, 'city.mmdb');
  regions = new Regions();
});
afterEach(() => {
  regions.close();
  rmSync(directory, { recursive: true });
});

const table = (condition: Condition) => {
  const gray = { releases: [2], rules: [{ release: 2, all: [condition] }] };
  const backend: Backend = { app: 'a', appId: 'app_1', state: 'serving', endpoints: [], gray };
  return { backends: { a: backend }, regions: path };
};
const byRegion: Condition = { kind: 'region', region: 'CN' };

describe('Regions', () => {
  it('reads the database only where a rule needs it', async () => {
    await regions.use(table({ kind: 'percent', percent: 5 }));
    expect([regions.problems(), regions.of('10.2.0.1')]).toEqual([[], []]);
    writeFileSync(path, mmdb({ '10.2.0.0/16': place('CN', '31') }));
    await regions.use(table(byRegion));
    expect([regions.problems(), regions.of('10.2.0.1')]).toEqual([[], ['CN', 'CN-31']]);
    await regions.use(table({ kind: 'percent', percent: 5 }));
    expect(regions.of('10.2.0.1')).toEqual([]);
  });

  it('says what is wrong with it, and takes the next one up', async () => {
    await regions.use(table(byRegion));
    expect(regions.problems()).toEqual([expect.stringContaining(path)]);
    writeFileSync(path, 'damaged');
    await regions.use(table(byRegion));
    expect(regions.problems()).toEqual([expect.stringMatching(/damaged/)]);
    writeFileSync(path, mmdb({ '10.2.0.0/16': place('DE') }));
    await regions.use(table(byRegion));
    expect([regions.problems(), regions.of('10.2.0.1')]).toEqual([[], ['DE']]);
    // What worked goes on while its successor does not.
    writeFileSync(path, 'half of it');
    await regions.use(table(byRegion));
    expect(regions.of('10.2.0.1')).toEqual(['DE']);
    expect(regions.problems()).toHaveLength(1);
  });
});
