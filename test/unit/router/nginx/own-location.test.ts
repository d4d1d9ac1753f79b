import { describe, expect, it } from 'vitest';
import { locationText } from '../../../../src/router/nginx/configuration.ts';
import { ownBodyLimit } from '../../../../src/router/nginx/own-limits.ts';
import { newCounted, toRecords } from '../../../../src/router/nginx/records.ts';
import { grpcText, proxyText, settingsText } from '../../../../src/router/nginx/passing.ts';

it("has the app's limit of bodies, unless its own configuration sets one: a comment sets none", () => {
  const text = (snippet: string) => locationText({ name: '@own_1', snippet, h2c: false, most: 1024 });
  expect(text('etag off;')).toContain('client_max_body_size 1024;');
  expect(text('# client_max_body_size 20m;\netag off;')).toContain('client_max_body_size 1024;');
  expect(text('client_max_body_size 20m;')).not.toContain('1024');
});

it('lets a call over HTTP/2 be silent for an hour, unless the app says otherwise', () => {
  const text = (snippet: string, h2c: boolean) => locationText({ name: '@own_1', snippet, h2c });
  expect(text('etag off;', true)).toContain('client_body_timeout 1h;');
  expect(text('client_body_timeout 5s;', true)).not.toContain('1h');
  expect(text('etag off;', false)).not.toContain('client_body_timeout');
});

describe('the limit of bodies of an own configuration', () => {
  it.each([
    ['client_max_body_size 1000;', 1000],
    ['etag on; client_max_body_size "20M";', 20 * 1024 * 1024],
    ['client_max_body_size 3k;', 3072],
    ['client_max_body_size 1G;', 1024 ** 3],
    ['client_max_body_size 0;', undefined],
    ['# client_max_body_size 5k;', undefined],
    ['client_max_body_size many;', undefined],
    ['client_max_body_size', undefined],
    ['etag on;', undefined],
  ])('%s', (snippet, bytes) => expect(ownBodyLimit(snippet)).toBe(bytes));

  it('holds for requests that say their length, beside that of the platform: the smaller one', () => {
    const limit = (most: number | undefined, maxBodyBytes?: number) => {
      const backend = { app: 'default/dev/a', appId: 'app_a', state: 'serving' as const, endpoints: [] };
      const limits = maxBodyBytes === undefined ? {} : { limits: { maxBodyBytes } };
      const table = { version: 1, http: [], tcp: [], backends: { a: { ...backend, ...limits } } };
      const records = toRecords(table, newCounted(), { tlsPort: undefined, location: () => ({ all: '@own_1', most }) });
      return /\["maxBodyBytes"\]=(\d+)/.exec(records.get('b:a')!)?.[1];
    };
    expect([limit(undefined), limit(10), limit(10, 20), limit(20, 10)]).toEqual([undefined, '10', '10', '10']);
  });
});

it('buffers nothing on the disk, whatever an app says of buffering', () => {
  expect(settingsText).toContain('proxy_max_temp_file_size 0;');
  expect(settingsText).toContain('proxy_request_buffering off;');
});

it("tells an instance the client's address as the router has it", () => {
  expect(proxyText).toContain('proxy_set_header X-Real-IP $paas_client;');
  expect(grpcText).toContain('grpc_set_header X-Real-IP $paas_client;');
});
