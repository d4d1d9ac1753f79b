/** What `paas certs …` reads, waits for and shows. */
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CertificateView } from '../../shared/contracts/api.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import type { Context } from '../command/context.ts';
import { Progress } from '../ui/progress.ts';
import { paintState } from '../ui/states.ts';
import { spell } from '../ui/times.ts';
import type { Ui } from '../ui/ui.ts';
import type { WaitFlags } from './follow.ts';

export const certificatePath = (host: string): string => `/v1/certificates/${encodeURIComponent(host)}`;

const maxBytes = 256 * 1024;

/** @throws PaasError not_found, too_large */
export async function readPem(path: string, flag: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) throw new PaasError('too_large', `${flag}: ${path} is no PEM file: it has ${size} bytes.`);
    return await readFile(path, 'latin1');
  } catch (cause) {
    if (cause instanceof PaasError) throw cause;
    throw new PaasError('not_found', `${flag}: ${path} cannot be read: ${errnoOf(cause) ?? String(cause)}.`, {
      hint: 'Name a PEM file.',
      cause,
    });
  }
}

/**
 * Waits until a certificate that is being asked for is there.
 * @throws PaasError certificate_failed with the authority's words; timeout and interrupted, after which it goes on
 */
export async function awaitCertificate(
  context: Context,
  certificate: CertificateView,
  flags: WaitFlags,
): Promise<CertificateView> {
  if (flags['no-wait'] || !certificate.issuing) return certificate;
  const progress = new Progress(context.ui);
  const deadline = flags.timeout === undefined ? Infinity : Date.now() + flags.timeout;
  const { host } = certificate;
  progress.at(`Asking for a certificate of ${host}`);
  try {
    for (;;) {
      const present = await look(context, host);
      if (!present.issuing) return outcome(present);
      if (Date.now() > deadline) {
        throw new PaasError('timeout', `Waited ${spell(flags.timeout ?? 0)} for the certificate of ${host}.`, goesOn);
      }
    }
  } finally {
    progress.stop();
  }
}

const goesOn = { hint: 'It goes on: `paas certs` shows how it ends.' };

async function look({ client, signal }: Context, host: string): Promise<CertificateView> {
  try {
    await sleep(500, undefined, { signal });
    return await client.request<CertificateView>({ method: 'GET', path: certificatePath(host), signal });
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new PaasError('interrupted', `Stopped waiting for the certificate of ${host}.`, { ...goesOn, cause: error });
  }
}

function outcome(certificate: CertificateView): CertificateView {
  const { host, attempts, message, renewsAt } = certificate;
  if (attempts === 0 || message === null) return certificate;
  throw new PaasError('certificate_failed', `There is no certificate for ${host}: ${message}.`, {
    hint: `It is tried again at ${renewsAt ?? '?'} and later; at once: repeat the command. \`paas certs remove ${host}\` ends it.`,
    details: { host, attempts, renewsAt },
  });
}

export function showCertificates(ui: Ui, certificates: readonly CertificateView[]): void {
  if (certificates.length === 0) {
    ui.line('There are no certificates. `paas certs add HOST` adds one.');
    return;
  }
  ui.table(
    ['HOST', 'SOURCE', 'ISSUER', 'NAMES', 'EXPIRES', 'STATE'],
    certificates.map(({ host, source, issuer, names, expires, state }) => [
      host,
      source,
      source === 'self-signed' ? '-' : (issuer ?? '-'),
      shorten(names),
      expires?.slice(0, 10) ?? '-',
      paintState(ui.style, state),
    ]),
  );
  for (const { host, attempts, message, renewsAt } of certificates) {
    if (attempts === 0 || message === null) continue;
    const times = attempts === 1 ? 'once' : `${attempts} times`;
    ui.line(ui.style.yellow(`${host}: asking for it failed ${times}, next at ${renewsAt ?? '?'}: ${message}`));
  }
}

/** The first of many names. */
function shorten(names: readonly string[]): string {
  const few = names.slice(0, 3).join(' ');
  return names.length > 3 ? `${few} +${names.length - 3}` : few || '-';
}
