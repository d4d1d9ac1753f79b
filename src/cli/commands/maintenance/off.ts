import type { MaintenanceChange } from '../../../shared/contracts/api.ts';
import { appCommand } from '../../command/define.ts';

export default appCommand(
  { summary: "let an app's users in again", args: { app: { summary: 'its name' } } },
  async ({ ui, client, app }) => {
    const path = `${app.path}/maintenance`;
    const answer = await client.request<MaintenanceChange>({ method: 'DELETE', path });
    ui.show(answer, () =>
      ui.line(`${app.name} is ${answer.changed ? 'no longer' : 'not'} in maintenance: requests reach it.`),
    );
    return 0;
  },
);
