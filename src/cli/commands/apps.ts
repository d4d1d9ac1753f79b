import type { AppSummary } from '../../shared/contracts/api.ts';
import { platformCommand } from '../command/define.ts';
import { flag } from '../command/flags.ts';
import { paintState } from '../ui/states.ts';
import type { Ui } from '../ui/ui.ts';

/** One in maintenance must be hard to forget. */
const stateOf = ({ style }: Ui, { state, maintenance }: AppSummary): string =>
  paintState(style, state) + (maintenance ? `, ${style.yellow('maintenance')}` : '');

export default platformCommand(
  {
    summary: 'list apps',
    flags: {
      project: flag.text({ char: 'p', value: 'NAME', summary: 'only those of a project' }),
      env: flag.text({ char: 'e', value: 'NAME', summary: 'only those of an environment' }),
    },
  },
  async ({ ui, client, signal, env }, { flags }) => {
    const project = flags.project ?? (env['PAAS_PROJECT'] || undefined);
    const environment = flags.env ?? (env['PAAS_ENV'] || undefined);
    const apps = await client.request<AppSummary[]>({
      method: 'GET',
      path: '/v1/apps',
      query: { project, environment },
      signal,
    });
    ui.show(apps, () => {
      if (apps.length === 0) ui.line('There are no apps yet. `paas push` makes one.');
      else
        ui.table(
          ['APP', 'PROJECT', 'ENV', 'STATE', 'RELEASE', 'INSTANCES', 'URL'],
          apps.map((app) => [
            ...[ui.style.bold(app.name), app.project, app.environment, stateOf(ui, app)],
            ...[app.release === null ? '-' : `v${app.release}`, `${app.instances.healthy}/${app.instances.desired}`],
            app.urls[0] ?? '-',
          ]),
        );
    });
    return 0;
  },
);
