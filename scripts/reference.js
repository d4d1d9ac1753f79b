/** `npm run docs`: writes docs/cli.md and docs/errors.md from the tables in the code. A test keeps them equal. */
import { build } from 'esbuild';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
// Inside the clone, so that packages that stay outside of the bundle are found.
const directory = mkdtempSync(join(root, 'node_modules', '.reference-'));
try {
  const outfile = join(directory, 'reference.mjs');
  const entryPoints = [join(root, 'src/cli/ui/reference.ts')];
  await build({
    entryPoints,
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'warning',
  });
  const { cliReference, errorsReference } = await import(pathToFileURL(outfile).href);
  writeFileSync(join(root, 'docs/cli.md'), await cliReference());
  writeFileSync(join(root, 'docs/errors.md'), errorsReference());
} finally {
  rmSync(directory, { recursive: true, force: true });
}
