/** Endpoints of gray releases. */
import { isIP } from 'node:net';
import type * as z from 'zod/mini';
import * as api from '../../shared/contracts/api.ts';
import type { Condition } from '../../shared/contracts/routes.ts';
import { asPaasError, PaasError } from '../../shared/errors.ts';
import { compileRules } from '../../shared/gray/choose.ts';
import { openRegions, type RegionsOf } from '../../shared/gray/regions.ts';
import { formatConditions, parseConditions } from '../../shared/gray/rules-text.ts';
import { cookieName, readShare, shareOfAddress } from '../../shared/gray/sticky.ts';
import { newId } from '../../shared/ids.ts';
import type { Control } from '../context.ts';
import { requireApp } from '../deploy/apps.ts';
import { underWay } from '../deploy/during.ts';
import {
  grayColumn,
  grayOf,
  grayReleases,
  withoutRule,
  withRule,
  type GrayState,
  type KeptRule,
} from '../deploy/gray.ts';
import { releaseRow } from '../deploy/push.ts';
import type { ReleaseProcesses } from '../deploy/types.ts';
import type { Trx } from '../store/open.ts';
import type { AppRow } from '../store/schema.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';
import { appOf, appPath, audit, nameOf } from './naming.ts';

export const grayEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: `${appPath}/gray`,
    summary: 'Its gray rules, and what runs for them',
    role: 'viewer',
    response: api.grayView,
    handle: async (call) => viewOf(await appOf(call)),
  }),
  endpoint({
    method: 'POST',
    path: `${appPath}/gray`,
    summary: 'Lead some of the requests to a release',
    role: 'developer',
    body: api.grayAdd,
    response: api.grayView,
    handle: add,
  }),
  endpoint({
    method: 'DELETE',
    path: `${appPath}/gray/:rule`,
    summary: 'Take a gray rule away; the last one of a release ends its instances',
    role: 'developer',
    response: api.grayView,
    handle: (call) => change(call, 'gray.remove', (app) => withoutRule(grayOf(app), call.params['rule'] ?? '')),
  }),
  endpoint({
    method: 'POST',
    path: `${appPath}/gray/test`,
    summary: 'Which release a request would get, and why',
    role: 'viewer',
    body: api.grayTest,
    response: api.grayTestAnswer,
    handle: test,
  }),
];

const ruleView = ({ id, release, all, by, createdAt }: KeptRule): api.GrayRuleView => ({
  ...{ id, release, by },
  match: formatConditions(all),
  createdAt: new Date(createdAt).toISOString(),
});

function viewOf(app: AppRow): api.GrayView {
  const { rules, releases } = grayOf(app);
  return { stable: app.release, rules: rules.map(ruleView), releases };
}

async function add(call: Call<z.infer<typeof api.grayAdd>>): Promise<unknown> {
  const { control, body, principal } = call;
  const app = await appOf(call);
  const all = parseConditions(body.match);
  requireRegions(control, all);
  const release = await releaseRow(control, app.id, body.release);
  if (!release) {
    throw new PaasError('not_found', `${app.name} has no release v${body.release}.`, {
      hint: `See \`paas releases -a ${app.name}\`.`,
    });
  }
  const processes = Object.entries(JSON.parse(release.processes) as ReleaseProcesses);
  const counts = Object.fromEntries(
    processes.flatMap(([type, { kind }]) => (kind === 'web' ? [[type, body.instances ?? 1]] : [])),
  );
  if (Object.keys(counts).length === 0)
    throw new PaasError('conflict', `v${body.release} has no web process to which requests could go.`);
  const rule = { id: newId('gry'), release: body.release, all, by: principal.name, createdAt: Date.now() };
  return change(call, 'gray.add', async (present, trx) => {
    const active = await underWay(trx, present);
    if (active?.rollout?.to_release === body.release && body.release !== present.release) {
      throw new PaasError(
        'conflict',
        `v${body.release} is being rolled out: how much of it runs is the rollout's matter.`,
        {
          hint: `Wait for its end, or take it back first: \`paas rollout cancel -a ${present.name}\`. A canary shows it to some of the clients, too.`,
        },
      );
    }
    return withRule(grayOf(present), rule, present.release, counts);
  });
}

/** @throws PaasError conflict for a rule by region where nobody knows where clients are */
function requireRegions({ settings }: Control, all: readonly Condition[]): void {
  if (settings.router.regions !== undefined || !all.some(({ kind }) => kind === 'region')) return;
  throw new PaasError('conflict', 'Rules by region need a database that tells where clients are; none is configured.', {
    hint:
      "Put one in MaxMind's format (GeoLite2-City.mmdb) on the router hosts, and name it: `paas up --regions FILE` on this " +
      'machine, `router: {"regions": "/path"}` in the configuration of a server.',
  });
}

async function change(
  call: Call<unknown>,
  kind: string,
  next: (app: AppRow, trx: Trx) => GrayState | Promise<GrayState>,
) {
  const { control } = call;
  const app = await appOf(call);
  const view = await call.commit(async (trx) => {
    const present = await requireApp(trx, nameOf(call.params));
    const gray = grayColumn(await next(present, trx));
    await trx.updateTable('apps').set({ gray }).where('id', '=', present.id).execute();
    return viewOf({ ...present, gray });
  });
  await audit(
    call,
    kind,
    app,
    `gray rules: ${view.rules.map(({ release, match }) => `${match} to v${release}`).join('; ') || 'none'}`,
  );
  control.wake.app(app.id);
  control.wake.routes();
  return view;
}

async function test(call: Call<z.infer<typeof api.grayTest>>): Promise<api.GrayTestAnswer> {
  const { control, body } = call;
  const app = await appOf(call);
  const state = grayOf(app);
  if (isIP(body.ip) === 0) throw new PaasError('usage', `\`${body.ip}\` is no address.`);
  const headers = new Map(Object.entries(body.headers).map(([name, value]) => [name.toLowerCase(), value]));
  const cookies = new Map(
    (headers.get('cookie') ?? '').split(';').flatMap((pair) => {
      const equals = pair.indexOf('=');
      return equals > 0 ? [[pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()] as const] : [];
    }),
  );
  const key = Buffer.from(await control.routing.stickyKey(), 'base64url');
  const places = await regionsFor(control, state);
  const chosen = compileRules(state.rules)({
    address: body.ip,
    header: (name) => headers.get(name),
    cookie: (name) => cookies.get(name),
    regions: () => places.of(body.ip),
    share: () => readShare(key, app.id, cookies.get(cookieName) ?? '') ?? shareOfAddress(key, app.id, body.ip),
  });
  const rule = chosen ? state.rules[chosen.rule]! : null;
  const release = rule?.release ?? app.release;
  const stable = app.release === null ? 'nothing is live' : `v${app.release} is the stable release`;
  if (!rule) return { release, rule: null, why: `no rule holds${places.but}; ${stable}` };
  const why = `rule ${chosen!.rule + 1} (${formatConditions(rule.all)}) leads to v${rule.release}${places.but}`;
  const isThere =
    !grayReleases(state).includes(rule.release) || control.routing.hasEndpoint(app.id, rule.release)
      ? ''
      : `, which has no healthy instance now: ${stable}`;
  return { release: isThere === '' ? release : app.release, rule: ruleView(rule), why: why + isThere };
}

/**
 * Where clients are, read where a rule asks for it. The database is on the router hosts; this machine need not have it.
 * `but`: what the answer leaves out.
 */
async function regionsFor({ settings }: Control, { rules }: GrayState): Promise<{ of: RegionsOf; but: string }> {
  const path = settings.router.regions;
  const needed = rules.some(({ all }) => all.some(({ kind }) => kind === 'region'));
  const nowhere: RegionsOf = () => [];
  if (!needed) return { of: nowhere, but: '' };
  const but = (why: string) => ({ of: nowhere, but: ` (rules by region are left out: ${why})` });
  if (path === undefined) return but('no database is configured');
  try {
    return { of: await openRegions(path), but: '' };
  } catch (error) {
    return but(`on the control plane's machine, ${asPaasError(error).message.replace(/\.$/, '')}`);
  }
}
