import { expect, it } from 'vitest';
import { locationText } from '../../../../src/router/nginx/configuration.ts';
import { grpcText, proxyText, settingsText } from '../../../../src/router/nginx/passing.ts';

it("has the app's limit of bodies, unless its own configuration sets one: a comment sets none", () => {
  const text = (snippet: string) => locationText({ name: '@own_1', snippet, h2c: false, most: 1024 });
  expect(text('etag off;')).toContain('client_max_body_size 1024;');
  expect(text('# client_max_body_size 20m;\netag off;')).toContain('client_max_body_size 1024;');
  expect(text('client_max_body_size 20m;')).not.toContain('1024');
});

it('buffers nothing on the disk, whatever an app says of buffering', () => {
  expect(settingsText).toContain('proxy_max_temp_file_size 0;');
  expect(settingsText).toContain('proxy_request_buffering off;');
});

it("tells an instance the client's address as the router has it", () => {
  expect(proxyText).toContain('proxy_set_header X-Real-IP $paas_client;');
  expect(grpcText).toContain('grpc_set_header X-Real-IP $paas_client;');
});
