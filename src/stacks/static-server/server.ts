/** The HTTP server around a site: which directory, which port, and how it ends. */
import { realpathSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { createSite, type SiteOptions } from './site.ts';

/**
 * The directory to serve: the first of `candidates` with an index.html, else the first that is a directory.
 * @throws Error when none is.
 */
export function chooseRoot(directory: string, candidates: readonly string[]): string {
  const paths = candidates.map((candidate) => join(directory, candidate));
  const chosen =
    paths.find((path) => statSync(join(path, 'index.html'), { throwIfNoEntry: false })?.isFile() === true) ??
    paths.find((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true);
  if (chosen === undefined) throw new Error(`the app has no directory ${candidates.join(' or ')} to serve`);
  return realpathSync(chosen);
}

export interface SiteServer {
  server: Server;
  /** Stops listening and lets requests under way finish; the process then ends by itself. */
  drain: () => void;
}

export function createSiteServer(options: SiteOptions): SiteServer {
  const site = createSite(options);
  let draining = false;
  const server = createServer((request, response) => {
    if (draining) response.setHeader('Connection', 'close');
    response.once('close', () => {
      if (draining) server.closeIdleConnections();
    });
    site(request, response);
  });
  // Longer than a router keeps a connection idle: closing first would fail the request that is just being sent.
  server.keepAliveTimeout = 120_000;
  const drain = (): void => {
    draining = true;
    server.close();
    server.closeIdleConnections();
  };
  return { server, drain };
}
