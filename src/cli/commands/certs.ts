import type { CertificateView } from '../../shared/contracts/api.ts';
import { platformCommand } from '../command/define.ts';
import { showCertificates } from '../deploy/certificates.ts';

export default platformCommand(
  { summary: 'list certificates, where they are from, and when they expire' },
  async ({ ui, client, signal }) => {
    const { certificates } = await client.request<{ certificates: CertificateView[] }>({
      method: 'GET',
      path: '/v1/certificates',
      signal,
    });
    ui.show(certificates, () => showCertificates(ui, certificates));
    return 0;
  },
);
