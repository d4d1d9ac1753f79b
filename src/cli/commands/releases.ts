import type { ReleaseRow } from '../../shared/contracts/api.ts';
import { appCommand } from '../command/define.ts';
import { flag } from '../command/flags.ts';
import { paintState } from '../ui/states.ts';
import { ago } from '../ui/times.ts';

export default appCommand(
  {
    summary: 'list the releases of an app, newest first',
    flags: { lines: flag.integer({ char: 'n', min: 1, summary: 'only so many (20; with --json: all)' }) },
  },
  async ({ ui, client, signal, app }, { flags }) => {
    const all = await client.request<ReleaseRow[]>({ method: 'GET', path: `${app.path}/releases`, signal });
    const rows = all.slice(0, flags.lines ?? (ui.json ? all.length : 20));
    ui.show(rows, () => {
      if (rows.length === 0) ui.line(`${app.name} has no release yet. \`paas push\` makes one.`);
      else {
        ui.table(
          ['RELEASE', 'STATE', 'AGE#', 'BY', 'IMAGE', 'DESCRIPTION'],
          rows.map((row) => [
            ...[
              row.current ? ui.style.bold(`v${row.version} *`) : `v${row.version}`,
              paintState(ui.style, row.state),
              ago(row.createdAt),
            ],
            ...[row.by, row.image, row.description],
          ]),
        );
        if (rows.length < all.length) ui.line(`… ${all.length - rows.length} older; \`-n ${all.length}\` shows all.`);
      }
    });
    return 0;
  },
);
