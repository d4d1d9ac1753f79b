/** Whatever is sent, properly signed, is answered with what it asks for or a typed error: never an internal one. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type * as z from 'zod/mini';
import type { Endpoint } from '../../../../src/control/api/define.ts';
import { errorResponse } from '../../../../src/shared/contracts/transfer.ts';
import { errorTable, type ErrorCode } from '../../../../src/shared/errors.ts';
import { Clouds } from '../../../../src/control/clouds.ts';
import { defaultTiming } from '../../../../src/control/settings.ts';
import { TestApi } from '../../../support/api.ts';
import { plainApp, pushApp, storeTree } from '../../../support/app-life.ts';
import { anything, arbitraryOf, oddText } from '../../../support/arbitrary.ts';
import { addHost, addRouter, makeControl, type TestControl } from '../../../support/control.ts';

let control: TestControl;
let api: TestApi;
let tree: string;
beforeAll(async () => {
  // No router is there to wait for.
  control = await makeControl({ settings: { timing: { ...defaultTiming, routed: 1 } } });
  await addHost(control, 'h1');
  const router = await addRouter(control);
  // Accounts are really kept; whoever asks for a driver gets the one of the test.
  const clouds = new Clouds(control.store, control.sealer, 'plt_test');
  control.clouds.put = (...cloud) => clouds.put(...cloud);
  api = await TestApi.of(control);
  tree = await storeTree(control, plainApp());
  await pushApp({ control, router });
});
afterAll(() => control.close());

const runsEach = 25;

/** Names that are there, and any others. */
const param: Record<string, fc.Arbitrary<string>> = {
  ':project': fc.constant('default'),
  ':environment': fc.constant('dev'),
  ':app': fc.constant('shop'),
  ':host': fc.constant('h1'),
};
const path = (template: string): fc.Arbitrary<string> =>
  fc
    .tuple(
      ...template
        .split('/')
        .map((part) =>
          part.startsWith(':')
            ? fc.oneof(
                { weight: 4, arbitrary: param[part] ?? fc.constant('x') },
                { weight: 1, arbitrary: oddText.map(encoded) },
              )
            : fc.constant(part),
        ),
    )
    .map((parts) => parts.join('/'));

const encoded = (text: string): string => encodeURIComponent(Buffer.from(text).toString());
const query = fc
  .dictionary(
    fc.constantFrom(
      'n',
      'offset',
      'since',
      'until',
      'process',
      'instance',
      'release',
      'source',
      'grep',
      'cursor',
      'all',
    ),
    fc.array(oddText, { minLength: 1, maxLength: 2 }),
    { maxKeys: 3 },
  )
  .map((given) =>
    Object.entries(given)
      .flatMap(([name, values]) => values.map((value) => `${name}=${encoded(value)}`))
      .join('&'),
  );

/** Bodies after the schema, with the tree that is there in the place of some digests; and bytes that are no JSON. */
const body = (schema: z.ZodMiniType | undefined): fc.Arbitrary<string> =>
  fc.oneof(
    {
      weight: 12,
      arbitrary: (schema ? arbitraryOf(schema) : anything).map((value) => withTree(JSON.stringify(value))),
    },
    { weight: 1, arbitrary: anything.map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 50 }) },
  );
const withTree = (text: string): string => text.replace(/"[0-9a-f]{64}"/, `"${tree}"`);

interface Raw {
  url: string;
  text: string;
}
const request = ({ path: template, body: schema }: Endpoint): fc.Arbitrary<Raw> =>
  fc
    .tuple(path(template), query, body(schema))
    .map(([at, asked, text]) => ({ url: asked === '' ? at : `${at}?${asked}`, text }));

const streams = (endpoint: Endpoint): boolean => /stream$|\/logs$/.test(endpoint.path);

test('any body, path and query, on every endpoint', async () => {
  let sent = 0;
  // What removes the app comes last, or the others would find none.
  const endpoints = [...api.endpoints].sort((a, b) => Number(a.method === 'DELETE') - Number(b.method === 'DELETE'));
  for (const endpoint of endpoints) {
    if (streams(endpoint)) continue;
    const { method, role } = endpoint;
    await fc.assert(
      fc.asyncProperty(request(endpoint), async ({ url, text }) => {
        const as = role === 'agent' ? 'agent' : 'owner';
        const errors = control.errors.length;
        const { status, body } = await api.call(method, url, { as, ...(method === 'GET' ? {} : { raw: text }) });
        sent++;
        const what = `${method} ${url} ${text} => ${status} ${JSON.stringify(body).slice(0, 300)}`;
        expect(control.errors.slice(errors).map(String), what).toEqual([]);
        if (status < 300) return;
        const { error } = errorResponse.parse(body);
        expect(error.code, what).not.toBe('internal');
        expect(errorTable[error.code as ErrorCode].http, what).toBe(status);
        expect(error.hint, what).not.toBe('');
      }),
      { numRuns: runsEach },
    );
  }
  expect(sent).toBeGreaterThan(1000);
  // What was accepted can be worked on.
  for (const { id } of await control.store.db.selectFrom('apps').select('id').execute())
    for (let look = 0; look < 5; look++) await control.reconcileApp(id);
  const rows = await control.store.db.selectFrom('deployments').select(['request', 'error']).execute();
  expect(rows.filter(({ error }) => error?.includes('"internal"'))).toEqual([]);
}, 180_000);
