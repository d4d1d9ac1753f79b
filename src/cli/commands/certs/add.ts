import { PaasError } from '../../../shared/errors.ts';
import type { CertificateAnswer, CertificatePut } from '../../../shared/contracts/api.ts';
import { parseHost } from '../../../shared/routes-text.ts';
import { platformCommand } from '../../command/define.ts';
import { flag, waitFlags } from '../../command/flags.ts';
import { awaitCertificate, certificatePath, readPem, showCertificates } from '../../deploy/certificates.ts';

export default platformCommand(
  {
    summary: 'give a host a certificate, or another one',
    description:
      'From files (PEM; in the chain the certificate of the host comes first, then that of its issuer), self-signed, or from\n' +
      "an ACME authority (Let's Encrypt, unless the platform is configured otherwise): then the host's name has to lead to\n" +
      'the routers already, and the certificate is renewed by itself; repeating the command asks for another one at once.\n' +
      'The private key is sealed and never shown again.',
    args: { host: { summary: 'shop.example.com or *.example.com', required: true } },
    flags: {
      cert: flag.text({ value: 'FILE', summary: 'the certificate and those of its issuers' }),
      key: flag.text({ value: 'FILE', summary: 'its private key, without a passphrase' }),
      'self-signed': flag.boolean({ summary: 'make one that no authority vouches for' }),
      acme: flag.boolean({ summary: 'ask an ACME authority for one' }),
      email: flag.text({ value: 'ADDRESS', summary: 'where the authority writes to' }),
      'agree-terms': flag.boolean({ summary: "agree to the authority's terms of service" }),
      ...waitFlags,
    },
    examples: [
      ['paas certs add shop.example.com --cert fullchain.pem --key privkey.pem', 'one that you have'],
      ['paas certs add shop.localhost --self-signed', 'for this machine'],
      ['paas certs add shop.example.com --acme --agree-terms', "from Let's Encrypt"],
    ],
  },
  async (context, { args, flags }) => {
    const { ui, client } = context;
    const host = parseHost(args['host']!);
    const body = await wishOf(flags);
    // Ctrl-C takes effect after the answer, so that it is never unknown whether something was begun.
    const answer = await client.request<CertificateAnswer>({ method: 'PUT', path: certificatePath(host), body });
    const certificate = await awaitCertificate(context, answer.certificate, flags);
    for (const warning of answer.warnings) ui.warn(warning);
    ui.show({ ...certificate, warnings: answer.warnings }, () => {
      if (certificate.issuing) ui.line(`It is being asked for; \`paas certs\` shows how that ends.`);
      else showCertificates(ui, [certificate]);
    });
    return 0;
  },
);

interface Wish {
  cert: string | undefined;
  key: string | undefined;
  'self-signed': boolean;
  acme: boolean;
  email: string | undefined;
  'agree-terms': boolean;
}

async function wishOf(flags: Wish): Promise<CertificatePut> {
  const { cert, key, acme, email } = flags;
  const isUpload = cert !== undefined || key !== undefined;
  if ([isUpload, flags['self-signed'], acme].filter(Boolean).length !== 1) {
    throw new PaasError('usage', '`paas certs add` needs one of --cert with --key, --self-signed and --acme.', {
      hint: 'See `paas certs add --help`.',
    });
  }
  if (!acme && (email !== undefined || flags['agree-terms'])) {
    throw new PaasError('usage', '--email and --agree-terms are for --acme.', { hint: 'Leave them out.' });
  }
  if (acme) return { source: 'acme', termsAgreed: flags['agree-terms'], ...(email === undefined ? {} : { email }) };
  if (flags['self-signed']) return { source: 'self-signed' };
  if (cert === undefined || key === undefined) {
    throw new PaasError('usage', `A certificate comes with its private key: --${cert === undefined ? 'cert' : 'key'} is missing.`, {
      hint: 'Give both: `--cert fullchain.pem --key privkey.pem`; it may be the same file.',
    }); // prettier-ignore
  }
  return { source: 'uploaded', chain: await readPem(cert, '--cert'), key: await readPem(key, '--key') };
}
