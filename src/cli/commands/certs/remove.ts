import { parseHost } from '../../../shared/routes-text.ts';
import { platformCommand } from '../../command/define.ts';
import { certificatePath } from '../../deploy/certificates.ts';

export default platformCommand(
  {
    summary: 'take the certificate of a host away, with its key',
    args: { host: { summary: 'shop.example.com or *.example.com', required: true } },
  },
  async ({ ui, client }, { args }) => {
    const host = parseHost(args['host']!);
    await client.request({ method: 'DELETE', path: certificatePath(host) });
    ui.show({ host, removed: true }, () => ui.line(`Removed the certificate of ${host}.`));
    return 0;
  },
);
