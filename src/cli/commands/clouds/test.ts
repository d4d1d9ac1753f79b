import { errorTable } from '../../../shared/errors.ts';
import { platformCommand } from '../../command/define.ts';

interface Answer {
  ok: boolean;
  checks: { name: string; ok: boolean; message: string }[];
}

export default platformCommand(
  {
    summary: 'check the credentials, clock and settings of a cloud',
    args: { name: { summary: 'its name', required: true } },
  },
  async ({ ui, client, signal }, { args }) => {
    const path = `/v1/clouds/${encodeURIComponent(args['name']!)}/test`;
    const answer = await client.request<Answer>({ method: 'POST', path, body: {}, signal });
    ui.show(answer, () => {
      for (const { name, ok, message } of answer.checks)
        ui.line(`${ok ? ui.style.green('ok    ') : ui.style.red('failed')} ${name}: ${message}`);
    });
    return answer.ok ? 0 : errorTable.cloud_failed.exit;
  },
);
