/** Endpoints of the platform itself: status, who am I, uploads of sources. */
import * as api from '../../shared/contracts/api.ts';
import { version } from '../../shared/version.ts';
import { certificateWarnings } from '../certificates/view.ts';
import type { Control } from '../context.ts';
import { endpoint, queryInt, type Call, type Endpoint, type Role } from './define.ts';
import { appSummaries } from './views.ts';

export const platformEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v1/status',
    summary: 'The platform and its parts',
    role: 'viewer',
    response: api.statusResponse,
    handle: ({ control }) => status(control),
  }),
  endpoint({
    method: 'GET',
    path: '/v1/whoami',
    summary: 'Whose key signed this request',
    role: 'viewer',
    response: api.whoamiResponse,
    handle: ({ principal }) =>
      Promise.resolve({ principal: principal.name, keyId: principal.keyId, role: principal.role }),
  }),
  ...uploadEndpoints('/v1', 'developer'),
];

/** Upload of trees, the same for people and for agents (a build's output). */
export function uploadEndpoints(prefix: string, role: Role): Endpoint[] {
  // An agent's uploads and a person's are told apart by their key: leases end with whoever took them.
  const lease = (call: Call<unknown>) => call.principal.keyId;
  return [
    endpoint({
      method: 'POST',
      path: `${prefix}/missing`,
      summary: 'Which objects have to be sent',
      role,
      body: api.missingRequest,
      response: api.missingResponse,
      handle: async (call) => ({ missing: await call.control.blobs.missing(call.body.digests, lease(call)) }),
    }),
    endpoint({
      method: 'POST',
      path: `${prefix}/uploads`,
      summary: 'Begin an upload',
      role,
      body: api.uploadRequest,
      response: api.uploadResponse,
      handle: async (call) => {
        const { id, offset } = await call.control.blobs.begin({ totalBytes: call.body.bytes, lease: lease(call) });
        return { id, offset };
      },
    }),
    endpoint<Buffer>({
      method: 'PUT',
      path: `${prefix}/uploads/:id`,
      summary: 'One chunk at ?offset=N, at most 8 MiB',
      role,
      raw: true,
      response: api.uploadResponse,
      handle: async (call) => {
        const offset = queryInt(call.query, 'offset', 0, Number.MAX_SAFE_INTEGER);
        const state = await call.control.blobs.append(call.params['id'] ?? '', offset, call.body);
        return { id: state.id, offset: state.offset };
      },
    }),
    endpoint({
      method: 'GET',
      path: `${prefix}/uploads/:id`,
      summary: 'How far an upload is',
      role,
      response: api.uploadStatus,
      handle: async (call) => {
        const { offset, finished } = await call.control.blobs.status(call.params['id'] ?? '');
        return { offset, finished };
      },
    }),
    endpoint({
      method: 'POST',
      path: `${prefix}/uploads/:id/finish`,
      summary: 'Make it visible',
      role,
      response: api.uploadResponse,
      handle: async (call) => {
        const state = await call.control.blobs.finish(call.params['id'] ?? '');
        return { id: state.id, offset: state.offset };
      },
    }),
  ];
}

async function status(control: Control): Promise<api.StatusResponse> {
  const { db } = control.store;
  const [hosts, apps, certificates, cloud] = await Promise.all([
    db.selectFrom('hosts').selectAll().execute(),
    appSummaries(control, {}),
    db.selectFrom('certificates').selectAll().orderBy('host').execute(),
    db.selectFrom('clouds').select('driver').executeTakeFirst(),
  ]);
  const router = control.routing.summary();
  return {
    server: { url: control.url(), version, state: 'ready' },
    router: {
      url: router.url,
      tlsUrl: router.tlsUrl,
      driver: router.driver ?? control.settings.router.driver,
      tableVersion: Math.max(0, router.version),
    },
    cloud: { driver: cloud?.driver ?? 'none' },
    hosts: { total: hosts.length, ready: hosts.filter((host) => host.state === 'ready').length },
    apps: { total: apps.length, healthy: apps.filter((app) => app.state === 'healthy').length },
    certificates: {
      total: certificates.length,
      valid: certificates.filter((row) => (row.not_after ?? 0) > Date.now()).length,
    },
    warnings: [
      ...(await warnings(control, hosts, router.problems)),
      ...apps.flatMap(maintenanceWarning),
      ...certificateWarnings(certificates),
    ],
  };
}

/** An app in maintenance is easily forgotten: nothing of it is broken. */
function maintenanceWarning({ name, project, environment, maintenance }: api.AppSummary): string[] {
  const end = `paas maintenance off -a ${name} -p ${project} -e ${environment}`;
  return maintenance ? [`${project}/${environment}/${name} is in maintenance; \`${end}\` ends it`] : [];
}

async function warnings(
  control: Control,
  hosts: { id: string; name: string; state: string; message: string | null; facts: string | null }[],
  problems: string[],
): Promise<string[]> {
  const lines = [...problems];
  const notices = new Map<string, string[]>();
  for (const host of hosts) {
    if (host.state === 'unreachable') lines.push(`${host.name} does not answer`);
    if (host.state === 'creating' && host.message) lines.push(`${host.name}: ${host.message}`);
    if (!host.facts) continue;
    const facts = JSON.parse(host.facts) as { notices: string[]; disk: { totalMb: number; freeMb: number } };
    for (const notice of facts.notices) notices.set(notice, [...(notices.get(notice) ?? []), host.name]);
    const { totalMb, freeMb } = control.disks.get(host.id) ?? facts.disk;
    if (totalMb > 0 && freeMb < Math.min(totalMb * 0.05, 1024))
      lines.push(`${host.name} has only ${Math.round(freeMb)} MiB of disk left`);
  }
  for (const [notice, names] of notices) lines.push(`${names.join(', ')}: ${notice}`);
  lines.push(...control.blobs.stats().problems, ...(await control.diskWarnings()));
  return lines;
}
