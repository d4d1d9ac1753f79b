import type { InstanceRow } from '../../shared/contracts/api.ts';
import { formatSize } from '../../shared/units.ts';
import { appCommand } from '../command/define.ts';
import { flag } from '../command/flags.ts';
import { paintState } from '../ui/states.ts';
import { ago } from '../ui/times.ts';

const dash = (text: string | number | null | undefined): string =>
  text === null || text === undefined ? '-' : String(text);

/** What there is to say of an instance; how it ended before only while that matters. */
function remark({ state, restarts, message, exit }: InstanceRow): string {
  if (message !== null) return message;
  if (exit?.message === undefined) return '';
  if (state !== 'healthy') return exit.message;
  return restarts > 0 ? `before: ${exit.message}` : '';
}

export default appCommand(
  {
    summary: 'list the instances of an app',
    flags: { all: flag.boolean({ summary: 'also those that have ended' }) },
  },
  async ({ ui, client, signal, app }, { flags }) => {
    const query = flags.all ? { all: 1 } : {};
    const rows = await client.request<InstanceRow[]>({ method: 'GET', path: `${app.path}/instances`, query, signal });
    ui.show(rows, () => {
      if (rows.length === 0) ui.line(`${app.name} has no instances.`);
      else
        ui.table(
          ['NAME', 'STATE', 'RELEASE', 'HOST', 'ADDRESS', 'UP', 'RESTARTS#', 'CPU#', 'MEMORY#', ''],
          rows.map((row) => [
            ...[ui.style.bold(row.name), paintState(ui.style, row.state), `v${row.release}`, dash(row.host)],
            ...[
              row.port === null ? dash(row.address) : `${dash(row.address)}:${row.port}`,
              ago(row.startedAt),
              String(row.restarts),
            ],
            ...[
              row.cpu === null ? '-' : row.cpu.toFixed(2),
              `${row.memory === null ? '-' : Math.round(row.memory)}/${formatSize(row.memoryLimit)}`,
            ],
            remark(row),
          ]),
        );
    });
    return 0;
  },
);
