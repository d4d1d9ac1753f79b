/**
 * The file server of the static stack: one bundled file, put into the app as `.paas/static-server.mjs`.
 *
 *   node .paas/static-server.mjs --root public,dist,. [--pushstate]
 *
 * Serves the first of the directories that has an index.html on PORT (default 8080), all addresses unless HOST names
 * one, and ends on SIGTERM when open requests are answered.
 */
import { parseArgs } from 'node:util';
import { chooseRoot, createSiteServer } from './server.ts';

const { values } = parseArgs({
  options: { root: { type: 'string', default: '.' }, pushstate: { type: 'boolean', default: false } },
});
const log = (line: string): void => void process.stdout.write(`${line}\n`);
const fail = (error: unknown): void => {
  process.stderr.write(`static server: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
};

try {
  const root = chooseRoot(process.cwd(), values.root.split(','));
  const { server, drain } = createSiteServer({ root, pushstate: values.pushstate, log });
  server.on('error', fail);
  server.listen(Number(process.env['PORT'] ?? 8080), process.env['HOST'], () => {
    log(`serving ${root} on port ${process.env['PORT'] ?? 8080}`);
  });
  process.once('SIGTERM', drain);
  process.once('SIGINT', drain);
} catch (error) {
  fail(error);
}
