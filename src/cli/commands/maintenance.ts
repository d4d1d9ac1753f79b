import type { MaintenanceView } from '../../shared/contracts/api.ts';
import { appCommand } from '../command/define.ts';
import { ago } from '../ui/times.ts';

export default appCommand(
  { summary: "show whether an app's users get a page instead of it", args: { app: { summary: 'its name' } } },
  async ({ ui, client, signal, app }) => {
    const path = `${app.path}/maintenance`;
    const view = await client.request<MaintenanceView>({ method: 'GET', path, signal });
    ui.show(view, () => {
      if (view.since === null) ui.line(`${app.name} is not in maintenance.`);
      else {
        const page = view.page === null ? "the platform's page" : 'a page of its own';
        ui.line(
          `${app.name} is in maintenance for ${ago(view.since)}, by ${view.by ?? ''}: users get 503 and ${page}.`,
        );
        ui.line(`\`paas maintenance off${app.flags}\` ends it.`);
      }
    });
    return 0;
  },
);
