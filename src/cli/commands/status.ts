import type { HostRow, StatusResponse } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import type { Context } from '../command/context.ts';
import { platformCommand } from '../command/define.ts';
import { count } from '../ui/times.ts';

export default platformCommand(
  {
    summary: 'show the parts of the platform, their versions, and what needs attention',
    examples: [['paas status --json', 'for scripts']],
  },
  async (context) => {
    const { ui, client, signal } = context;
    const read = { method: 'GET', signal, patienceMs: 0 } as const;
    try {
      const status = await client.request<StatusResponse>({ ...read, path: '/v1/status' });
      const { hosts } = ui.json
        ? { hosts: [] }
        : await client.request<{ hosts: HostRow[] }>({ ...read, path: '/v1/hosts' });
      ui.show(status, () => show(context, status, hosts));
      return 0;
    } catch (error) {
      throw (await explain(context, error)) ?? error;
    }
  },
);

function show({ ui }: Context, status: StatusResponse, hosts: HostRow[]): void {
  const { server, router, cloud, apps, certificates } = status;
  ui.pairs([
    ['Control plane', `${server.url}  ${server.version}  ${server.state}`],
    [
      'Router',
      router.url === null ? ui.style.red('down') : `${router.url}  ${router.driver}, table ${router.tableVersion}`,
    ],
    ['TLS', router.tlsUrl],
    [
      'Certificates',
      certificates.total === 0 ? null : `${certificates.valid} of ${certificates.total} valid: \`paas certs\``,
    ],
    ['Cloud', cloud.driver],
    ['Hosts', `${status.hosts.ready} of ${status.hosts.total} ready`],
    ['Apps', apps.total === 0 ? 'none' : `${apps.healthy} of ${apps.total} healthy`],
  ]);
  if (hosts.length > 0) {
    ui.line();
    ui.table(
      ['HOST', 'STATE', 'ROLES', 'INSTANCES#', 'AGENT'],
      hosts.map((host) => [
        host.name,
        host.state,
        host.roles.join(' '),
        String(host.instances),
        host.agentVersion ?? '-',
      ]),
    );
  }
  if (status.warnings.length === 0) return;
  ui.line();
  ui.line(ui.style.yellow(`${count(status.warnings.length, 'warning')}:`));
  for (const warning of status.warnings) ui.line(`  ${warning}`);
}

/** Which part of this machine's platform is down, when that is why nothing answers. */
async function explain({ target, home, ui }: Context, error: unknown): Promise<PaasError | null> {
  if (!(error instanceof PaasError) || (error.code !== 'unavailable' && error.code !== 'timeout')) return null;
  const { localParts } = await import('../platform/parts.ts');
  const parts = localParts(home, target.url);
  if (!parts) return null;
  ui.table(
    ['PART', 'STATE', ''],
    parts.map(({ name, state, detail }) => [name, state === 'down' ? ui.style.red(state) : state, detail]),
  );
  const missing = parts.filter(({ state }) => state === 'down').map(({ name }) => name);
  const what =
    missing.length === 0
      ? error.message
      : `Of the platform of this machine, ${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} down.`;
  return new PaasError(error.code, what, {
    hint: '`paas up` starts what is missing; apps that run go on.',
    details: { parts },
    cause: error,
  });
}
