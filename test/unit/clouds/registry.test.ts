import { describe, expect, it } from 'vitest';
import { cloudDrivers, openCloud } from '../../../src/clouds/registry.ts';
import type { PaasError } from '../../../src/shared/errors.ts';

const config = { apiKey: 'key-of-sixteen-chars', zone: 'z', image: 'i' };
const refusal = (name: string, raw: unknown): PaasError => {
  try {
    openCloud(name, raw, { platform: 'p' });
  } catch (error) {
    return error as PaasError;
  }
  throw new Error('it was accepted');
};

describe('the registry of clouds', () => {
  it('opens a driver by name', () => {
    expect(openCloud('speedycloud', config, { platform: 'p' })).toHaveProperty('findByToken');
  });

  it('names the drivers there are for a name it does not know', () => {
    for (const name of ['azure', 'toString', '']) {
      expect(refusal(name, config)).toMatchObject({ code: 'not_found', hint: expect.stringContaining('speedycloud') });
    }
  });

  it('names every wrong field, and no value', () => {
    const error = refusal('speedycloud', { ...config, apiKey: 7, zone: '', colour: 'secret-value' });
    expect(error).toMatchObject({ code: 'manifest_invalid' });
    for (const field of ['apiKey', 'zone', 'colour']) expect(error.message).toContain(field);
    expect(error.message).not.toContain('secret-value');
  });

  it.each([
    'http://api.speedycloud.cn',
    'ftp://127.0.0.1',
    'https://user:pass@api.speedycloud.cn',
    'https://api.speedycloud.cn/path',
    'http://127.0.0.1.evil.test',
    'api.speedycloud.cn',
  ])('sends no key to %s', (endpoint) => {
    expect(refusal('speedycloud', { ...config, endpoint })).toMatchObject({ code: 'manifest_invalid' });
  });

  it.each(['https://api.speedycloud.cn', 'https://10.0.0.1:8443', 'http://127.0.0.1:7071', 'http://localhost:1'])(
    'accepts %s',
    (endpoint) => {
      expect(openCloud('speedycloud', { ...config, endpoint }, { platform: 'p' })).toBeDefined();
    },
  );

  it('wants a secret key for the authorization mode', () => {
    expect(refusal('speedycloud', { ...config, authMode: 'authorization' })).toMatchObject({
      code: 'manifest_invalid',
    });
  });

  it('marks as secret only fields that there are, and says what was not verified', () => {
    for (const driver of Object.values(cloudDrivers)) {
      expect(driver.verified).toContain('live service');
      const shape = Object.keys(driver.schema._zod.def.shape);
      expect(shape).toEqual(expect.arrayContaining(driver.secrets));
    }
  });
});
