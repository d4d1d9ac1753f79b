/** Routes as people write them: `HOST[/PATH]`. The one place that says which texts are routes and which are the same. */
import { domainToASCII } from 'node:url';
import { PaasError } from './errors.ts';
import { dnsLabel } from './ids.ts';

/** A route in its one normal form: host in lower case (A-labels), path `/` or `/prefix` without a trailing slash. */
export interface RouteParts {
  host: string;
  path: string;
}

/**
 * Reads `shop.example.com`, `*.example.com` or `example.com/api`. Names in other scripts become punycode (IDNA, UTS 46).
 * @throws PaasError usage, with the reason and what to write instead
 */
export function parseRoute(text: string): RouteParts {
  const trimmed = text.trim();
  const refuse: Refuse = (why, hint = 'Write HOST or HOST/PATH, as in `shop.example.com/api`.') => {
    throw new PaasError('usage', `\`${shorten(text)}\` is not a route: ${why}.`, { hint });
  };
  if (trimmed === '') refuse('it is empty');
  if (trimmed.length > 1024) refuse('it is longer than 1024 characters');
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(trimmed)?.[0];
  if (scheme !== undefined) {
    refuse('a route has no scheme', `Leave \`${scheme}\` out; TLS is the platform's matter, not the route's.`);
  }

  if (/[\s\u0000-\u001f\u007f]/.test(trimmed)) refuse('it has blanks or control characters in it');
  if (/[?#\\]/.test(trimmed)) refuse('a route has no query, fragment or backslash');
  const slash = trimmed.indexOf('/');
  const host = slash < 0 ? trimmed : trimmed.slice(0, slash);
  if (host.includes('@')) refuse('a route has no user name');
  if (host.includes(':')) {
    refuse('a route has no port', 'For TCP use a process of type `service`: the platform gives it a port.');
  }
  return {
    host: normalHost(host, refuse),
    path: slash < 0 ? '/' : normalPath(trimmed.slice(slash), refuse),
  };
}

/** The text of a route; `parseRoute` reads it back to the same parts. */
export function formatRoute(route: RouteParts): string {
  return route.path === '/' ? route.host : route.host + route.path;
}

/**
 * Reads a host name alone: `shop.example.com`, `*.example.com`, in the normal form of a route's host.
 * @throws PaasError usage, with the reason
 */
export function parseHost(text: string): string {
  const name = text.trim();
  const refuse: Refuse = (why, hint = 'Write it as in `shop.example.com` or `*.example.com`.') => {
    throw new PaasError('usage', `\`${shorten(text)}\` is not a host name: ${why}.`, { hint });
  };
  if (/[\s\u0000-\u001f\u007f/?#\\@:]/.test(name)) refuse('it has something else than a name in it');
  if (/^[\d.]+$/.test(name)) refuse('it is an address', 'Clients name the host they want only where it has a name.');
  return normalHost(name, refuse);
}

type Refuse = (why: string, hint?: string) => never;

function normalHost(host: string, refuse: Refuse): string {
  const wildcard = host.startsWith('*.');
  const name = (wildcard ? host.slice(2) : host).replace(/\.$/, '');
  if (name === '') refuse('the host is missing');
  if (name.includes('*')) refuse('a wildcard stands only for the whole first label', 'Write `*.example.com`.');
  const ascii = /^[\u0020-\u007e]*$/.test(name) ? name.toLowerCase() : domainToASCII(name);
  if (ascii === '') refuse('the host is not a valid international name');
  if (ascii.length > 253) refuse('the host is longer than 253 characters');
  for (const label of ascii.split('.')) {
    if (!dnsLabel.test(label)) {
      refuse(
        `\`${shorten(label)}\` is not a DNS label`,
        'Labels have a-z, 0-9 and - (not first or last), at most 63 characters.',
      );
    }
  }
  return wildcard ? `*.${ascii}` : ascii;
}

/** RFC 3986, 6.2.2: percent-encodings in upper case, unreserved characters plain; and no slash doubled or at the end. */
function normalPath(path: string, refuse: Refuse): string {
  const segments = path.split('/').filter((segment) => segment !== '');
  const normal = segments.map((segment) => {
    let decoded = '';
    let encoded = '';
    try {
      decoded = decodeURIComponent(segment);
      encoded = encodeURIComponent(decoded);
    } catch {
      refuse(`\`${shorten(segment)}\` is not valid percent-encoding or Unicode`);
    }
    if (decoded === '.' || decoded === '..') refuse('a path has no `.` or `..`');

    if (/[/\\\u0000-\u001f\u007f]/.test(decoded)) refuse('a path has no encoded slash or control character');
    return encoded.replace(/%(?:24|26|2B|2C|3A|3B|3D|40)/g, (code) => decodeURIComponent(code));
  });
  return `/${normal.join('/')}`;
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
