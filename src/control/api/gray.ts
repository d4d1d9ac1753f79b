/** Endpoints of gray releases. */
import { isIP } from 'node:net';
import type * as z from 'zod/mini';
import * as api from '../../shared/contracts/api.ts';
import type { Condition } from '../../shared/contracts/routes.ts';
import { asPaasError, PaasError } from '../../shared/errors.ts';
import { compileRules } from '../../shared/gray/choose.ts';
import { openRegions, type RegionsOf } from '../../shared/gray/regions.ts';
import { formatConditions, parseConditions } from '../../shared/gray/rules-text.ts';
import { cookieOf, readShare, shareOfAddress } from '../../shared/gray/sticky.ts';
import { newId } from '../../shared/ids.ts';
import type { Control } from '../context.ts';
import { appFlags } from '../deploy/apps.ts';
import { underWay } from '../deploy/during.ts';
import {
  beside,
  grayColumn,
  grayOf,
  grayTable,
  withoutRule,
  withRule,
  type GrayState,
  type KeptRule,
} from '../deploy/gray.ts';
import { releaseRow } from '../deploy/push.ts';
import type { ReleaseProcesses } from '../deploy/types.ts';
import { canaryGray, canaryPercent } from '../reconcile/table.ts';
import type { Db, Trx } from '../store/open.ts';
import type { AppRow, RolloutRow } from '../store/schema.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';
import { appOf, appPath, audit } from './naming.ts';

export const grayEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: `${appPath}/gray`,
    summary: 'Its gray rules, and what runs for them',
    role: 'viewer',
    response: api.grayView,
    handle: async (call) => {
      const app = await appOf(call);
      return viewOf(app, await moving(call.control.store.db, app));
    },
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

function viewOf(app: AppRow, rollout: RolloutRow | null): api.GrayView {
  const state = grayOf(app);
  return {
    stable: app.release,
    rules: state.rules.map(ruleView),
    releases: beside(state, app.release),
    rollout: rollout && { release: rollout.to_release, percent: canaryPercent(rollout) },
  };
}

/** The rollout that puts another release in the stable one's place; null while there is none. */
async function moving(db: Db | Trx, { id, release }: AppRow): Promise<RolloutRow | null> {
  if (release === null) return null;
  const open = db.selectFrom('rollouts').selectAll().where('app_id', '=', id).where('finished_at', 'is', null);
  return (await open.where('to_release', '!=', release).executeTakeFirst()) ?? null;
}

async function add(call: Call<z.infer<typeof api.grayAdd>>): Promise<unknown> {
  const { control, body, principal } = call;
  const app = await appOf(call);
  const all = parseConditions(body.match);
  requireRegions(control, all);
  const release = await releaseRow(control, app.id, body.release);
  if (!release) {
    throw new PaasError('not_found', `${app.name} has no release v${body.release}.`, {
      hint: `See \`paas releases${appFlags(app)}\`.`,
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
    if (active?.deployment.release === body.release && body.release !== present.release) {
      throw new PaasError(
        'conflict',
        `v${body.release} is being rolled out: how much of it runs is the rollout's matter.`,
        {
          hint: `Wait for its end, or take it back first: \`paas rollout cancel${appFlags(present)}\`. A canary shows it to some of the clients, too.`,
        },
      );
    }
    return withRule(grayOf(present), rule, counts);
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
    const present = await appOf(call, trx);
    const gray = grayColumn(await next(present, trx));
    await trx.updateTable('apps').set({ gray }).where('id', '=', present.id).execute();
    return viewOf({ ...present, gray }, await moving(trx, present));
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
  const rollout = await moving(control.store.db, app);
  const canary = rollout?.canary ? canaryGray(rollout) : undefined;
  const { rules } = grayTable(state, app.release, canary) ?? { rules: [] };
  const chosen = compileRules(rules)({
    address: body.ip,
    header: (name) => headers.get(name),
    cookie: (name) => cookies.get(name),
    regions: () => places.of(body.ip),
    share: () => readShare(key, app.id, cookies.get(cookieOf(app.id)) ?? '') ?? shareOfAddress(key, app.id, body.ip),
  });
  const rule = (chosen && state.rules[chosen.rule]) ?? null;
  const isThere = chosen !== null && control.routing.hasEndpoint(app.id, chosen.release);
  const release = isThere ? chosen.release : app.release;
  const stable = app.release === null ? 'nothing is live' : `v${app.release} is the stable release`;
  const missing = ', which has no healthy instance now';
  if (!rule) {
    const share = rollout && shareText(rollout, chosen !== null) + (chosen && !isThere ? missing : '');
    const why = [`no rule holds${places.but}`, ...(chosen && isThere ? [] : [stable]), ...(share ? [share] : [])];
    return { release, rule: null, why: why.join('; ') };
  }
  const leads = `rule ${chosen!.rule + 1} (${formatConditions(rule.all)}) leads to v${rule.release}${places.but}`;
  return { release, rule: ruleView(rule), why: isThere ? leads : `${leads}${missing}: ${stable}` };
}

/** @param isAmong whether the client is one of those who get the new release of a canary */
function shareText(rollout: RolloutRow, isAmong: boolean): string {
  const percent = canaryPercent(rollout);
  const to = `v${rollout.to_release}`;
  if (percent === null) return `${to} is being rolled out, and gets some of these requests already`;
  return `${percent} % of the clients get ${to}, which is being rolled out: this is ${isAmong ? 'one' : 'none'} of them`;
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
