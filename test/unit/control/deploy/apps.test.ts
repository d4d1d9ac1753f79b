/** The commands that hints name reach the app that they speak of, whatever project and environment the reader works in. */
import { expect, it } from 'vitest';
import { appFlags } from '../../../../src/control/deploy/apps.ts';

it('leaves out what everybody begins with', () => {
  expect(appFlags({ name: 'shop', project: 'default', environment: 'dev' })).toBe(' -a shop');
  expect(appFlags({ name: 'shop', project: 'store', environment: 'prod' })).toBe(' -a shop -p store -e prod');
});
