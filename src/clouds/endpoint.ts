/** Addresses of providers' APIs. */

/** Whether a host name of a URL means this machine itself. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** Whether a string is an origin that credentials may be sent to: https, or http on this machine; no path, no user. */
export function isSafeOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const safe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname));
  return safe && url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
}
