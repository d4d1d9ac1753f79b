/** Where clients are, by a database in MaxMind's format. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openRegions } from '../../../../src/shared/gray/regions.ts';
import { mmdb, place } from '../../../support/mmdb.ts';

const directory = mkdtempSync(join(tmpdir(), 'paas-regions-'));
afterAll(() => rmSync(directory, { recursive: true }));
let files = 0;
function file(content: Buffer | string): string {
  const path = join(directory, `${++files}.mmdb`);
  writeFileSync(path, content);
  return path;
}
const database = mmdb({
  '10.2.0.0/16': place('CN', '31'),
  '10.3.0.0/16': place('GB', 'ENG', 'LND'),
  '192.0.2.7': place('DE'),
  '198.51.100.0/24': { traits: { is_anycast: 'yes' } },
});

describe('openRegions', () => {
  it('tells country and subdivisions, and nothing where nobody knows', async () => {
    const of = await openRegions(file(database));
    expect(of('10.2.3.4')).toEqual(['CN', 'CN-31']);
    expect(of('::ffff:10.2.3.4')).toEqual(['CN', 'CN-31']);
    expect(of('10.3.0.1')).toEqual(['GB', 'GB-ENG', 'GB-LND']);
    expect(of('192.0.2.7')).toEqual(['DE']);
    for (const unknown of ['192.0.2.8', '198.51.100.1', '8.8.8.8', '2001:db8::1', 'nonsense', ''])
      expect(of(unknown), unknown).toEqual([]);
  });

  it('refuses a file that is missing, damaged or something else, and names it', async () => {
    const missing = join(directory, 'none.mmdb');
    await expect(openRegions(missing)).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining(missing),
    });
    await expect(openRegions(directory)).rejects.toMatchObject({ code: 'corrupt' });
    for (const content of ['', 'no database', database.subarray(0, 100), database.subarray(200)]) {
      const path = file(content);
      await expect(openRegions(path)).rejects.toMatchObject({
        code: 'corrupt',
        message: expect.stringContaining(path),
      });
    }
  });

  it('never throws for a record that is damaged', async () => {
    const broken = Buffer.from(database);
    broken.fill(0xff, broken.indexOf('country') - 1, broken.indexOf('country') + 40);
    const of = await openRegions(file(broken));
    expect(of('10.2.3.4')).toEqual([]);
  });
});
