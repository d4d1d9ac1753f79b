/**
 * Builds dist/ with esbuild:
 *   cli/       the CLI: a chunk for each command and for what they share, so that a command loads only what it needs
 *   server.js  control plane            (node_modules stay outside: native libSQL)
 *   agent.js   one file, no node_modules, Node >= 18
 *   cloud.js   the embedded cloud       router.js  the embedded router
 *   static-server.js  what the static stack puts into an app
 */
import { build } from 'esbuild';
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { leanOclif } from './lean-oclif.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;
const finalRoot = process.env.PAAS_BUILD_OUT ?? join(root, 'dist');
// Built beside and swapped in whole: a build that fails leaves the last one in place.
const outRoot = mkdtempSync(`${finalRoot}.new-`);
process.on('exit', () => rmSync(outRoot, { recursive: true, force: true }));
const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'esm',
  legalComments: 'none',
  logLevel: 'warning',
  define: { PAAS_VERSION: JSON.stringify(version) },
};
// Bundled CommonJS packages call require(); an ES module has none of its own.
const requireShim = {
  js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
};
const single = (entry, outfile, target, options = {}) =>
  build({ ...common, entryPoints: [entry], outfile: join(outRoot, outfile), target, banner: requireShim, ...options });

const has = (file) => existsSync(join(root, file));
await Promise.all([
  has('src/cli/main.ts') &&
    build({
      ...common,
      entryPoints: { main: 'src/cli/main.ts' },
      outdir: join(outRoot, 'cli'),
      splitting: true,
      minify: true,
      target: 'node20',
      banner: requireShim,
      plugins: [leanOclif],
      // Its ES module, bundled: as one of 70 CommonJS files it would cost every command that reads a manifest 30 ms.
      alias: { yaml: join(root, 'node_modules/yaml/browser/index.js') },
      external: ['croner', '@inquirer/prompts', 'simple-git', 'execa', 'tar', 'yauzl'],
    }),
  has('src/control/main.ts') && single('src/control/main.ts', 'server.js', 'node20', { packages: 'external' }),
  has('src/agent/main.ts') &&
    single('src/agent/main.ts', 'agent.js', 'node18', { minify: true, external: ['bufferutil', 'utf-8-validate'] }),
  has('src/localcloud/main.ts') && single('src/localcloud/main.ts', 'cloud.js', 'node20', { minify: true }),
  has('src/router/embedded/main.ts') && single('src/router/embedded/main.ts', 'router.js', 'node18', { minify: true }),
  has('src/stacks/static-server/main.ts') &&
    single('src/stacks/static-server/main.ts', 'static-server.js', 'node18', { minify: true }),
]);
writeFileSync(join(outRoot, 'version.json'), JSON.stringify({ version }));
chmodSync(outRoot, 0o755);
const previous = `${outRoot}.old`;
if (existsSync(finalRoot)) renameSync(finalRoot, previous);
renameSync(outRoot, finalRoot);
rmSync(previous, { recursive: true, force: true });
