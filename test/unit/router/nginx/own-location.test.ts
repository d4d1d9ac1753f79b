import { expect, it } from 'vitest';
import { locationText } from '../../../../src/router/nginx/configuration.ts';

it("has the app's limit of bodies, unless its own configuration sets one: a comment sets none", () => {
  const text = (snippet: string) => locationText({ name: '@own_1', snippet, h2c: false, most: 1024 });
  expect(text('etag off;')).toContain('client_max_body_size 1024;');
  expect(text('# client_max_body_size 20m;\netag off;')).toContain('client_max_body_size 1024;');
  expect(text('client_max_body_size 20m;')).not.toContain('1024');
});
