import type { AppDetail } from '../../shared/contracts/api.ts';
import { describeRouter } from '../../shared/router-text.ts';
import { formatSize } from '../../shared/units.ts';
import { appCommand } from '../command/define.ts';
import { paintState } from '../ui/states.ts';
import { showTraffic } from '../ui/traffic.ts';

export default appCommand(
  { summary: 'show one app', args: { app: { summary: 'its name' } } },
  async ({ ui, client, signal, app }) => {
    const detail = await client.request<AppDetail>({ method: 'GET', path: app.path, signal });
    ui.show(detail, () => {
      const { instances, release, maintenanceBy: maintenance } = detail;
      const router = [...describeRouter(detail.router)].map(([key, value]) => `${key}: ${value}`);
      ui.pairs([
        ['App', ui.style.bold(detail.name)],
        ['Project', `${detail.project}, environment ${detail.environment}`],
        [
          'State',
          `${paintState(ui.style, detail.state)}, ${instances.healthy} of ${instances.desired} instances healthy`,
        ],
        ['Maintenance', maintenance && ui.style.yellow(maintenanceText(maintenance, app.flags))],
        ['Release', release === null ? 'none yet' : `v${release}`],
        ['Stack', detail.stack === null ? null : `${detail.stack} on ${detail.base ?? 'host'}`],
        ['Created', detail.createdAt],
        ...detail.urls.map((url, i) => [i === 0 ? 'URL' : '', url] as const),
        ...Object.entries(detail.ports).map(([type, port]) => [`TCP ${type}`, `port ${port}`] as const),
        ['Router', router.length === 0 ? null : router.join(', ')],
        ['nginx', detail.nginx ? `has configuration of its own: \`paas routes nginx${app.flags}\`` : null],
        [
          'Deployment',
          detail.deployment === null ? null : `${detail.deployment} is under way: \`paas rollout status${app.flags}\``,
        ],
      ]);
      const rows = Object.entries(detail.formation);
      if (rows.length > 0) {
        ui.line();
        ui.table(
          ['PROCESS', 'KIND', 'INSTANCES#', 'MEMORY#', 'CPU#', 'SCHEDULE'],
          rows.map(([type, { kind, instances: n, memoryMb, cpu, schedule }]) => [
            type,
            kind,
            String(n),
            formatSize(memoryMb),
            cpu === null ? '-' : String(cpu),
            schedule ?? '',
          ]),
        );
      }
      showTraffic(ui, detail.traffic);
    });
    return 0;
  },
);

function maintenanceText({ by, since }: NonNullable<AppDetail['maintenanceBy']>, flags: string): string {
  return `since ${since} by ${by}: users get 503 and a page; \`paas maintenance off${flags}\` ends it`;
}
