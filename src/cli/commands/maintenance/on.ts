import type { MaintenanceChange } from '../../../shared/contracts/api.ts';
import { maxPageBytes } from '../../../shared/limits.ts';
import { appCommand } from '../../command/define.ts';
import { flag } from '../../command/flags.ts';
import { readTextFile } from '../../deploy/text-file.ts';

export default appCommand(
  {
    summary: 'give the users of an app a page instead of it; it keeps running',
    description:
      'Every request is answered with 503, Retry-After and the page, until `paas maintenance off`: pushes, restarts and\n' +
      'stops leave it so. It is done when all routers do it.',
    args: { app: { summary: 'its name' } },
    flags: { page: flag.text({ value: 'FILE', summary: 'the page, HTML of at most 256 KiB' }) },
    examples: [['paas maintenance on shop --page sorry.html', 'with a page of its own']],
  },
  async ({ ui, client, app }, { flags }) => {
    const page = flags.page === undefined ? {} : { page: await readTextFile(flags.page, maxPageBytes, '--page') };
    const path = `${app.path}/maintenance`;
    const answer = await client.request<MaintenanceChange>({ method: 'PUT', path, body: page });
    ui.show(answer, () =>
      ui.line(`${app.name} is in maintenance${answer.changed ? '' : ' already'}: users get 503 and a page.`),
    );
    return 0;
  },
);
