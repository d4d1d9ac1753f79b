import { PaasError } from '../../shared/errors.ts';

/** A platform's URL as it is saved and compared: no trailing slash, no query. Throws `usage`. */
export function normalizeUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new PaasError('usage', `"${text}" is not the URL of a platform`, {
      hint: 'It looks like https://paas.example.com or http://127.0.0.1:7070.',
      cause,
    });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new PaasError('usage', `the URL of a platform begins with http:// or https://, not ${url.protocol}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new PaasError('usage', 'the URL of a platform holds no user name and no password', {
      hint: 'Keys are given apart: `paas login URL`, or PAAS_KEY_ID and PAAS_KEY_SECRET.',
    });
  }
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`;
}

/** Whether a URL names this machine itself. */
export function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(\.\d+){3}$/.test(hostname)
  );
}

/** Throws `not_allowed` for plain http to another machine, unless the user accepted that. */
export function assertUrlAllowed(url: string, allowHttp: boolean): void {
  if (allowHttp || url.startsWith('https:') || isLoopback(url)) return;
  throw new PaasError('not_allowed', `${url} is not encrypted: whoever sits in between can read all that is sent`, {
    hint: 'Use https://, or accept it: `paas login URL --allow-http`, in scripts PAAS_ALLOW_HTTP=1.',
  });
}
