import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  signSpeedycloudAuthorization,
  signSpeedycloudHeader,
  verifySpeedycloudHeader,
} from '../../../src/clouds/signing/speedycloud.ts';

interface Vector {
  scheme: string;
  date: string;
  hmac_hex: string;
  api_key: string;
  secret: string;
  method: string;
  path: string;
}
const { vectors } = JSON.parse(readFileSync(new URL('../../fixtures/signing.json', import.meta.url), 'utf8')) as {
  vectors: Vector[];
};
const vector = (scheme: string) => vectors.find((candidate) => candidate.scheme === scheme)!;

describe('SpeedyCloud signing', () => {
  it('signs the header mode as the vector says', () => {
    const { api_key, date, hmac_hex } = vector('speedycloud-header');
    expect(signSpeedycloudHeader(api_key, new Date(date))).toEqual({
      'api-key': api_key,
      'api-request-date': date,
      'api-hmac': hmac_hex,
    });
  });

  it('signs the authorization mode as the vector says, whatever the query', () => {
    const { secret, method, path, date, hmac_hex } = vector('speedycloud-authorization');
    const keys = { accessKey: 'ACCESS', secretKey: secret };
    const right = { date, authorization: `ACCESS,${hmac_hex}` };
    expect(signSpeedycloudAuthorization(keys, method, path, new Date(date))).toEqual(right);
    expect(signSpeedycloudAuthorization(keys, 'get', `${path}?a=1`, new Date(date))).toEqual(right);
  });

  it('accepts its own signature for 15 minutes either way, and says what else is wrong', () => {
    const { api_key, date } = vector('speedycloud-header');
    const headers = signSpeedycloudHeader(api_key, new Date(date));
    const at = (seconds: number) => new Date(Date.parse(date) + seconds * 1000);
    expect(verifySpeedycloudHeader(api_key, headers, at(0))).toBeNull();
    expect(verifySpeedycloudHeader(api_key, headers, at(900))).toBeNull();
    expect(verifySpeedycloudHeader(api_key, headers, at(-900))).toBeNull();
    expect(verifySpeedycloudHeader(api_key, headers, at(901))).toBe('date');
    expect(verifySpeedycloudHeader(api_key, headers, at(-901))).toBe('date');
    expect(verifySpeedycloudHeader('another', headers, at(0))).toBe('key');
    expect(verifySpeedycloudHeader(api_key, {}, at(0))).toBe('key');
    expect(verifySpeedycloudHeader(api_key, { ...headers, 'api-request-date': at(60).toUTCString() }, at(60))).toBe(
      'hmac',
    );
    expect(verifySpeedycloudHeader(api_key, { ...headers, 'api-hmac': '' }, at(0))).toBe('hmac');
  });

  it('refuses a date that is none although it is signed', async () => {
    const { createHmac } = await import('node:crypto');
    const hmac = createHmac('sha1', 'k').update('yesterday').digest('hex');
    const headers = { 'api-key': 'k', 'api-request-date': 'yesterday', 'api-hmac': hmac };
    expect(verifySpeedycloudHeader('k', headers, new Date())).toBe('date');
  });
});
