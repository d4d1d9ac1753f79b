/** Unpacks a root file system with the system's tar, after a look at every name in it. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { closeSync, lstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PaasError } from '../../shared/errors.ts';
import { findTool } from '../runtimes/tools.ts';
import { bareEnvironment } from '../runtimes/environment.ts';

/**
 * @param archive a tar file, gzip or not; its owner and modes are kept where the agent is root
 * @param directory empty
 * @throws PaasError `unsupported` (no tar here), `source_invalid` (a name that leads out, or no archive)
 */
export async function unpackTar(archive: string, directory: string): Promise<void> {
  const tar = findTool('tar');
  if (tar === null) throw new PaasError('unsupported', 'this host has no tar: it cannot unpack base images');
  const compression = isGzip(archive) ? ['--gzip'] : [];
  await run(tar, ['--list', '--file', archive, '--quoting-style=literal', ...compression], checkName);
  // Device nodes cannot be made without root and are of no use: the sandbox has a /dev of its own.
  const exclude = ['--anchored', '--exclude=./dev/*', '--exclude=dev/*'];
  const owners = process.getuid?.() === 0 ? ['--numeric-owner', '--same-owner'] : ['--no-same-owner'];
  const options = [...compression, ...owners, '--same-permissions', '--delay-directory-restore', ...exclude];
  await run(tar, ['--extract', '--file', archive, '--directory', directory, ...options]);
  // Where the sandbox mounts what is not the base's: on a read-only root these places must exist.
  for (const place of ['app', 'dev', 'proc', 'tmp', 'var', 'var/tmp']) makePlace(join(directory, place));
}

/** A link in the way is left alone: following it could lead out of the base. */
function makePlace(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })) return;
  if (lstatSync(dirname(path)).isDirectory()) mkdirSync(path);
}

function checkName(name: string): void {
  if (!name.startsWith('/') && !name.split('/').includes('..')) return;
  throw new PaasError('source_invalid', `the base image has a name that leads out of it: ${JSON.stringify(name)}`);
}

function isGzip(path: string): boolean {
  const head = Buffer.alloc(2);
  const fd = openSync(path, 'r');
  try {
    return readSync(fd, head, 0, 2, 0) === 2 && head[0] === 0x1f && head[1] === 0x8b;
  } finally {
    closeSync(fd);
  }
}

function run(file: string, argv: readonly string[], onLine?: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: bareEnvironment,
      cwd: '/',
    });
    let said = '';
    let refused: Error | undefined;
    if (onLine) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (refused !== undefined) return;
        try {
          onLine(line);
        } catch (error) {
          refused = error as Error;
          child.kill('SIGKILL');
        }
      });
    } else child.stdout.resume();
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 1000) said += text;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (refused !== undefined) reject(refused);
      else if (code === 0) resolve();
      else if (/No space left/.test(said))
        reject(new PaasError('disk_full', `no space left to unpack a base image: ${said.trim()}`));
      else
        reject(
          new PaasError(
            'source_invalid',
            `the base image cannot be unpacked: ${said.trim() || `tar ended with ${String(code)}`}`,
          ),
        );
    });
  });
}
