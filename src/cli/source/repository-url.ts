/** Addresses of repositories: checking what the user typed, and keeping credentials out of argv and messages. */
import { resolve } from 'node:path';
import { PaasError } from '../../shared/errors.ts';

export interface RepositoryUrl {
  /** Without credentials: may be shown, and given to a program as an argument. */
  url: string;
  /** From the user info of an http(s) address. */
  credentials: { user: string; password: string } | undefined;
  /** On this machine: a path or file://. */
  local: boolean;
}

const control = /[\u0000-\u0020\u007f]/;

/**
 * @param schemes allowed before `://`
 * @param scp whether `user@host:path` is meant (git) rather than a path
 * @throws PaasError `usage`
 */
export function parseRepositoryUrl(text: string, schemes: readonly string[], scp: boolean): RepositoryUrl {
  const refuse = (problem: string): PaasError =>
    new PaasError('usage', `The repository address ${JSON.stringify(redact(text))} ${problem}.`, {
      hint: `Give an address with one of ${schemes.map((scheme) => `${scheme}://`).join(', ')}.`,
    });
  if (text === '' || text.startsWith('-')) throw refuse('is not an address');
  if (control.test(text)) throw refuse('has spaces or control characters in it');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    // `ext::sh -c …` and its like make git run programs.
    if (text.includes('::')) throw refuse('names a transport that is not allowed');
    if (scp && /^[^/]+:[^/]/.test(text) && !/^[^@:/]+:[^@]*@/.test(text))
      return { url: text, credentials: undefined, local: false };
    if (text.startsWith('/') || text.startsWith('.'))
      return { url: resolve(text), credentials: undefined, local: true };
    throw refuse('has no scheme');
  }
  if (!schemes.includes(scheme)) throw refuse(`has a scheme that is not supported (${scheme})`);
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refuse('cannot be understood');
  }
  if (scheme !== 'http' && scheme !== 'https') {
    if (url.password !== '') throw refuse('has a password in it, which this scheme does not take');
    return { url: text, credentials: undefined, local: scheme === 'file' };
  }
  const credentials =
    url.username === '' && url.password === ''
      ? undefined
      : { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  url.username = '';
  url.password = '';
  return { url: url.href, credentials, local: false };
}

/** The text without what stands between `//` and `@` in the addresses in it. */
export function redact(text: string): string {
  return text.replace(/(\/\/)[^/@\s]+(:[^/@\s]*)?@/g, '$1***@');
}

/** The last lines that a program wrote to stderr, without credentials, for a message. */
export function reasonOf(stderr: string, secrets: readonly string[] = []): string {
  let text = redact(stderr.trim());
  for (const secret of secrets) if (secret !== '') text = text.replaceAll(secret, '***');
  return text.split('\n').slice(-5).join('\n').slice(-2000);
}
