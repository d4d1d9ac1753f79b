import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSecretName, redact, redactUrl } from '../../../src/shared/redact.ts';

describe('redact', () => {
  test('cuts every occurrence, the longest secret first', () => {
    expect(redact('hunter22 and hunter22-more', ['hunter22', 'hunter22-more'])).toBe('[redacted] and [redacted]');
  });

  test('finds a secret percent-encoded, in base64 and escaped as in JSON', () => {
    const secret = 'p@ss "word"/1';
    const texts = [encodeURIComponent(secret), Buffer.from(secret).toString('base64'), JSON.stringify({ secret })];
    for (const text of texts) expect(redact(text, [secret])).toContain('[redacted]');
    expect(redact(JSON.stringify({ secret }), [secret])).toBe('{"secret":"[redacted]"}');
  });

  test('finds single lines of a key of several lines', () => {
    expect(redact('read: MIIEabcdef', ['-----BEGIN KEY-----\nMIIEabcdef\n-----END KEY-----'])).toBe('read: [redacted]');
  });

  test('leaves short values alone, which occur by chance', () => {
    expect(redact('a banana', ['a', '', '  '])).toBe('a banana');
  });

  test('never leaves a secret in, whatever the text', () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ minLength: 4 }), fc.string(), (before, secret, after) => {
        fc.pre(secret.trim().length >= 4 && !'[redacted]'.includes(secret));
        expect(redact(before + secret + after, [secret]).replaceAll('[redacted]', '\n')).not.toContain(secret);
      }),
    );
  });
});

test.each([
  ['https://me:pw@host/x', 'https://[redacted]@host/x'],
  ['https://ghp_token@github.com/a/b', 'https://[redacted]@github.com/a/b'],
  ['postgres://u:p%40@db:5432/x', 'postgres://[redacted]@db:5432/x'],
  ['cannot clone https://a:b@c/d and svn://e:f@g', 'cannot clone https://[redacted]@c/d and svn://[redacted]@g'],
  ['ssh://git@host/repo.git', 'ssh://git@host/repo.git'],
  ['git@host:repo.git', 'git@host:repo.git'],
  ['https://host/a@b', 'https://host/a@b'],
  ['https://h/?token=abc&page=2', 'https://h/?token=[redacted]&page=2'],
  ['https://h/?X-Amz-Signature=abc', 'https://h/?X-Amz-Signature=[redacted]'],
  ['no url at all', 'no url at all'],
])('redactUrl %s', (text, clean) => {
  expect(redactUrl(text)).toBe(clean);
});

test.each([
  'PASSWORD',
  'DB_PASSWORD',
  'dbPassword',
  'API_KEY',
  'apiKey',
  'APIKEY',
  'SECRET_KEY_BASE',
  'GITHUB_TOKEN',
  'accessToken',
  'Authorization',
  'DATABASE_URL',
  'REDIS_TLS_URL',
  'SENTRY_DSN',
  'PRIVATE_KEY',
  'MYSECRET',
  'AWS_SECRET_ACCESS_KEY',
  'cookie',
])('%s is a secret', (name) => {
  expect(isSecretName(name)).toBe(true);
});

test.each([
  'PORT',
  'LOG_LEVEL',
  'NODE_ENV',
  'BASE_URL',
  'PUBLIC_KEY',
  'MONKEY',
  'KEYBOARD',
  'PASSENGER',
  'AUTHOR',
  'TZ',
  '',
])('%s is none', (name) => {
  expect(isSecretName(name)).toBe(false);
});
