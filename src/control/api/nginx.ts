/** Endpoints of configuration of an app's own for the nginx router. */
import type * as z from 'zod/mini';
import * as api from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { checkSnippet, formatProblems, type SnippetProblem } from '../../shared/nginx/snippet.ts';
import type { Control } from '../context.ts';
import { authorise, endpoint, type Call, type Endpoint } from './define.ts';
import { appOf, appPath, audit } from './naming.ts';
import { untilRouted } from './routed.ts';

export const nginxEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: `${appPath}/nginx`,
    summary: 'Its own nginx configuration',
    role: 'viewer',
    response: api.nginxView,
    handle: async (call) => {
      const { name, nginx } = await appOf(call);
      return { app: name, nginx };
    },
  }),
  endpoint({
    method: 'PUT',
    path: `${appPath}/nginx`,
    summary: 'Give it nginx configuration of its own; answered when all routers have it',
    role: 'developer',
    body: api.nginxRequest,
    response: api.nginxChange,
    handle: put,
    settle: (call) => settle(call, call.body.nginx),
  }),
  endpoint({
    method: 'DELETE',
    path: `${appPath}/nginx`,
    summary: 'Take its own nginx configuration away; answered when no router has it any more',
    role: 'developer',
    response: api.nginxChange,
    handle: (call) => change(call, null),
    settle: (call) => settle(call, null),
  }),
];

async function put(call: Call<z.infer<typeof api.nginxRequest>>): Promise<api.NginxChange> {
  const { control, body, principal } = call;
  if (body.allowLua) authorise(principal, 'owner');
  const app = await appOf(call);
  refuse(app.name, checkSnippet(body.nginx, { allowLua: body.allowLua }));
  const router = await nginxRouter(control);
  refuse(app.name, await control.routerChecks.check(router, body.nginx));
  return change(call, body.nginx);
}

/** @throws PaasError manifest_invalid with every problem */
function refuse(app: string, problems: readonly SnippetProblem[]): void {
  if (problems.length === 0) return;
  throw new PaasError(
    'manifest_invalid',
    `The nginx configuration for ${app} is refused; nothing was changed.\n${formatProblems(problems)}`,
    { hint: 'Correct these lines. docs/operations.md says what an app may use.', details: { problems } },
  );
}

/** A router host that can check. @throws PaasError unsupported where some router is not nginx, unavailable */
async function nginxRouter({ store, hub, routing }: Control): Promise<{ id: string; name: string }> {
  const hosts = await store.db
    .selectFrom('hosts')
    .select(['id', 'name', 'roles'])
    .where('state', '=', 'ready')
    .execute();
  const routers = hosts.filter((host) => (JSON.parse(host.roles) as string[]).includes('router'));
  const other = routers.find(({ id }) => (routing.statusOf(id)?.driver ?? 'nginx') !== 'nginx');
  if (other) {
    const driver = routing.statusOf(other.id)?.driver ?? '';
    throw new PaasError(
      'unsupported',
      `The router on ${other.name} is \`${driver}\`, which takes no nginx configuration.`,
      {
        hint: 'It needs a platform with nginx as its router: `paas up --router nginx`.',
      },
    );
  }
  const able = routers.find(({ id }) => hub.connected(id) && routing.statusOf(id) !== undefined);
  if (able) return able;
  throw new PaasError('unavailable', 'No router is connected that could check the configuration.', {
    hint: 'Nothing was changed. See `paas hosts` and `paas status`.',
  });
}

async function change(call: Call<unknown>, nginx: string | null): Promise<api.NginxChange> {
  const app = await appOf(call);
  const answer = await call.commit(async (trx) => {
    const present = await appOf(call, trx);
    const changed = present.nginx !== nginx;
    if (changed) await trx.updateTable('apps').set({ nginx }).where('id', '=', app.id).execute();
    return { app: app.name, nginx, changed };
  });
  if (answer.changed) {
    const said = nginx === null ? 'nginx configuration removed' : 'nginx configuration set';
    await audit(call, nginx === null ? 'nginx.remove' : 'nginx.set', app, said);
  }
  return answer;
}

async function settle(call: Omit<Call<unknown>, 'commit'>, nginx: string | null): Promise<void> {
  const app = await appOf(call);
  const what = `the nginx configuration of ${app.name}`;
  await untilRouted(call.control, app.id, (policy) => (policy.nginx ?? null) === nginx, what);
}
