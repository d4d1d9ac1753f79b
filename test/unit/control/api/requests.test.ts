import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorResponse } from '../../../../src/shared/contracts/transfer.ts';
import { appUrl, TestApi, type Sent } from '../../../support/api.ts';
import { addHost, makeControl, type TestControl } from '../../../support/control.ts';
import { appRow } from '../../../support/rows.ts';

let control: TestControl;
let api: TestApi;
beforeAll(async () => {
  control = await makeControl();
  await addHost(control, 'h1');
  await control.store.db
    .insertInto('apps')
    .values(appRow('app_1', { name: 'shop' }))
    .execute();
  api = await TestApi.of(control);
});
afterAll(() => control.close());

describe('a request', () => {
  it('that is signed is answered to its signer', async () => {
    const answer = await api.get('/v1/whoami', { as: 'viewer' });
    expect(answer).toMatchObject({
      status: 200,
      body: { principal: 'key:viewer', keyId: 'key-viewer', role: 'viewer' },
    });
  });

  const refused: [string, (sent: Sent) => void][] = [
    ['is not signed', ({ headers }) => (delete headers['Signature'], delete headers['Signature-Input'])],
    ['has half a signature', ({ headers }) => delete headers['Signature-Input']],
    ['is signed by an unknown key', ({ headers }) => replace(headers, 'Signature-Input', 'key-owner', 'key-nobody')],
    ['has another signature', ({ headers }) => replace(headers, 'Signature', 'paas=:', 'paas=:AAAA')],
    ['is for another path', (sent) => (sent.url = '/v1/apps')],
    ['has another query', (sent) => (sent.url += '?x=1')],
    ['has another method', (sent) => (sent.method = 'PATCH')],
    ['is for another server', ({ headers }) => (headers['host'] = 'elsewhere:7070')],
  ];
  function replace(headers: Record<string, string>, name: string, from: string, to: string): void {
    headers[name] = headers[name]!.replace(from, to);
  }
  it.each(refused)('that %s is refused', async (_, tamper) => {
    const answer = await api.get(`${appUrl}/formation`, { tamper });
    expect(answer).toMatchObject({ status: 401, code: 'not_authenticated' });
    expect(errorResponse.parse(answer.body)).toEqual(answer.body);
  });

  it('whose body was changed is refused', async () => {
    const tamper = (sent: Sent) => void (sent.payload = Buffer.from('{"processes":{"web":{"instances":9}}}'));
    const body = { processes: { web: { instances: 1 } } };
    expect(await api.call('PATCH', `${appUrl}/formation`, { body, tamper })).toMatchObject({ code: 'bad_request' });
    const added = (sent: Sent) => void (sent.payload = Buffer.from('{}'));
    expect(await api.get('/v1/whoami', { tamper: added })).toMatchObject({ code: 'not_authenticated' });
  });

  it('that is repeated as it was is refused', async () => {
    const sent = api.request('GET', '/v1/whoami');
    expect((await api.send(sent)).status).toBe(200);
    expect(await api.send(sent)).toMatchObject({ status: 401, code: 'not_authenticated' });
  });

  it('of a machine whose clock is off is told so', async () => {
    for (const skew of [-600_000, 600_000]) {
      const answer = await api.get('/v1/whoami', { sign: { now: Date.now() + skew } });
      expect(answer).toMatchObject({ status: 401, code: 'clock_skew' });
      expect((answer.body['error'] as { details: { skewSeconds: number } }).details.skewSeconds).toBeCloseTo(
        skew / 1000,
        -2,
      );
    }
  });

  it('of a revoked key is refused', async () => {
    await api.keys.put({
      id: 'key-gone',
      secret: 'a secret that is long enough',
      principal: 'key:gone',
      role: 'owner',
    });
    await control.store.db.updateTable('keys').set({ revoked_at: 1 }).where('id', '=', 'key-gone').execute();
    const tamper = ({ headers }: Sent) => replace(headers, 'Signature-Input', 'key-owner', 'key-gone');
    expect(await api.get('/v1/whoami', { tamper })).toMatchObject({ status: 401 });
  });

  it('for something that is not there is told so, signed or not', async () => {
    expect(await api.get('/v1/nothing')).toMatchObject({ status: 404, code: 'not_found' });
    expect(await api.get('/v1/projects/default/environments/dev/apps/none')).toMatchObject({
      ...{ status: 404, code: 'not_found' },
      body: { error: { message: 'There is no app none in default/dev.' } },
    });
  });
});

describe('a body', () => {
  const patch = (raw: string) => api.call('PATCH', `${appUrl}/formation`, { raw });
  it.each([
    ['that is no JSON', '{', 'not JSON'],
    ['of another shape', '{"processes":[]}', 'processes'],
    ['with a wrong value', '{"processes":{"web":{"instances":-1}}}', 'processes.web.instances'],
    ['with a wrong name', '{"processes":{"Web!":{"instances":1}}}', 'processes.Web!'],
    ['that is empty', '', 'processes'],
  ])('%s is refused by the place of the mistake', async (_, raw, place) => {
    const answer = await patch(raw);
    expect(answer).toMatchObject({ status: 400, code: 'bad_request' });
    expect((answer.body['error'] as { message: string }).message).toContain(place);
  });

  it('is refused without its values, which may be secret', async () => {
    const answer = await api.call('PATCH', `${appUrl}/config`, { body: { set: { 'NOT A NAME': 's3cret', B: 7 } } });
    expect(answer).toMatchObject({ status: 400, code: 'bad_request' });
    expect(JSON.stringify(answer.body)).not.toContain('s3cret');
  });

  it('that is too large is refused', async () => {
    const answer = await api.call('PATCH', `${appUrl}/formation`, { raw: Buffer.alloc(10 << 20, 32) });
    expect(answer).toMatchObject({ status: 413, code: 'too_large' });
  });
});

describe('roles', () => {
  const ranks = ['viewer', 'developer', 'owner'] as const;
  const concrete = (path: string) => path.replace(':app', 'none').replaceAll(/:[a-z]+/g, 'x');

  it('may do what they may do, on every endpoint', async () => {
    for (const { method, path, role } of api.endpoints) {
      if (path === '/v1/agents/enrol') continue;
      const allowed = role === 'agent' ? ['agent'] : ranks.slice(ranks.indexOf(role));
      for (const as of ['agent', ...ranks] as const) {
        if (allowed.includes(as)) continue;
        const answer = await api.call(method, concrete(path), { as, ...(method === 'GET' ? {} : { body: {} }) });
        expect(answer.code, `${as}: ${method} ${path}`).toBe('not_allowed');
      }
    }
  });

  it('of a viewer changes nothing anywhere', () => {
    const changing = api.endpoints.filter(({ method, role }) => method !== 'GET' && role === 'viewer');
    expect(changing.map(({ path }) => path)).toEqual([
      expect.stringMatching(/\/plans$/),
      expect.stringMatching(/\/gray\/test$/),
    ]);
  });
});

describe('an agent’s enrolment', () => {
  const enrol = (hostId: string, token: string) =>
    api.send({
      ...{ method: 'POST', url: '/v1/agents/enrol', headers: { 'content-type': 'application/json' } },
      payload: Buffer.from(JSON.stringify({ hostId, token, agentVersion: '1' })),
    });

  it('exchanges a token for a key, again until the key is used, and never for a wrong one', async () => {
    const { createHash } = await import('node:crypto');
    const enrolHash = createHash('sha256').update('the token').digest('hex');
    await addHost(control, 'h9', { enrol_hash: enrolHash });
    expect(await enrol('h9', 'wrong')).toMatchObject({ status: 401, code: 'not_authenticated' });
    expect(await enrol('unknown', 'the token')).toMatchObject({ status: 401 });
    const first = await enrol('h9', 'the token');
    expect(first.status).toBe(200);
    const second = await enrol('h9', 'the token');
    expect(second.body['keyId']).not.toBe(first.body['keyId']);
    const keys = await control.store.db.selectFrom('keys').selectAll().where('host_id', '=', 'h9').execute();
    expect(keys.map(({ id, role }) => [id, role])).toEqual([[second.body['keyId'], 'agent']]);
    expect(keys[0]!.secret).not.toContain(second.body['secret'] as string);
    await control.store.db.updateTable('hosts').set({ enrol_hash: null }).where('id', '=', 'h9').execute();
    expect(await enrol('h9', 'the token')).toMatchObject({ status: 401 });
  });
});
