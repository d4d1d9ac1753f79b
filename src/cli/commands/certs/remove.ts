import { parseHost } from '../../../shared/routes-text.ts';
import { platformCommand } from '../../command/define.ts';
import { yesFlag } from '../../command/flags.ts';
import { certificatePath } from '../../deploy/certificates.ts';
import { confirm } from '../../ui/prompt.ts';

export default platformCommand(
  {
    summary: 'take the certificate of a host away, with its key',
    args: { host: { summary: 'shop.example.com or *.example.com', required: true } },
    flags: { yes: yesFlag },
  },
  async ({ ui, client, signal }, { args, flags }) => {
    const host = parseHost(args['host']!);
    const question = `The certificate of ${host} and its private key will be removed for good.`;
    await confirm(ui, question, { yes: flags.yes, signal });
    await client.request({ method: 'DELETE', path: certificatePath(host) });
    ui.show({ host, removed: true }, () => ui.line(`Removed the certificate of ${host}.`));
    return 0;
  },
);
