import { build } from 'esbuild';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const made = new Map<string, Promise<string>>();
let directory: string | undefined;

/**
 * Bundles a program as scripts/build.js does, so that a test can run it as a process without dist/: once a test file,
 * into a temporary directory that goes when its tests have ended.
 * @param entry from the repository's root: `src/router/embedded/main.ts`
 * @param name of the bundle: `router.js`
 * @param packages `external`: they stay outside (native ones cannot be bundled), as in the control plane
 * @returns its path
 */
export function bundle(entry: string, name: string, packages: 'bundle' | 'external' = 'bundle'): Promise<string> {
  let path = made.get(entry);
  if (!path) made.set(entry, (path = make(entry, name, packages)));
  return path;
}

/** A program of bin/ with its bundle beside it. @returns the path of the program */
export async function bundledProgram(program: string, entry: string, name: string): Promise<string> {
  await bundle(entry, name);
  const bin = join(temporary(), 'bin');
  mkdirSync(bin, { recursive: true });
  cpSync(join(root, 'bin', program), join(bin, program));
  return join(bin, program);
}

async function make(entry: string, name: string, packages: 'bundle' | 'external'): Promise<string> {
  const outfile = join(temporary(), 'dist', basename(name));
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    packages,
    platform: 'node',
    format: 'esm',
    target: 'node18',
    logLevel: 'error',
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
  });
  return outfile;
}

function temporary(): string {
  if (directory === undefined) {
    directory = mkdtempSync(join(tmpdir(), 'paas-bundle-'));
    writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  }
  return directory;
}

// Of each test file that leads here, however far: hooks go from the last to the first, so after all that uses a bundle.
afterAll(() => {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});
