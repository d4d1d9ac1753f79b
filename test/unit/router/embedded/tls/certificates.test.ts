import { describe, expect, it } from 'vitest';
import {
  certificateFor as find,
  certificateSet,
  noCertificates,
} from '../../../../../src/router/embedded/tls/certificates.ts';
import { certificateFor, weakCertificate } from '../../../../support/certificates.ts';

describe('certificates by name', () => {
  it('are the exact one, else that of the wildcard one label up', async () => {
    const [exact, wildcard] = [await certificateFor('www.a.test'), await certificateFor('*.A.test')];
    const set = certificateSet([wildcard, exact], noCertificates);
    expect(find(set, 'WWW.a.test')).toBe(set.byName.get('www.a.test'));
    expect(find(set, 'api.a.test')).toBe(set.byName.get('*.a.test'));
    for (const name of ['a.test', 'x.y.a.test', '.a.test', 'test', '']) expect(find(set, name)).toBeUndefined();
  });

  it('keep their context over tables while their content stays', async () => {
    const [one, other] = [await certificateFor('a.test'), await certificateFor('a.test')];
    const first = certificateSet([one], noCertificates);
    const second = certificateSet([{ ...one, hosts: ['b.test'] }], first);
    expect(find(second, 'b.test')).toBe(find(first, 'a.test'));
    expect(find(second, 'a.test')).toBeUndefined();
    expect(find(certificateSet([other], second), 'a.test')).not.toBe(find(first, 'a.test'));
  });

  it('are left out, by host, where key and chain do not fit or are too weak', async () => {
    const [one, other, weak] = [
      await certificateFor('a.test'),
      await certificateFor('b.test'),
      await weakCertificate('weak.test'),
    ];
    const set = certificateSet([{ ...one, key: other.key }, weak, other], noCertificates);
    expect(set.problems).toEqual([
      expect.stringMatching(/certificate for a\.test/),
      expect.stringMatching(/certificate for weak\.test.*too small/),
    ]);
    expect([...set.byName.keys()]).toEqual(['b.test']);
  });
});
