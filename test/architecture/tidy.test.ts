/** What keeps the repository readable and installable anywhere. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { satisfies } from 'semver';
import { describe, expect, it } from 'vitest';
import { Exceptions, filesBelow, root, sources } from './support/sources.ts';

const maxLines = 300;

describe('files', () => {
  it(`have at most ${maxLines} lines`, () => {
    const exceptions = new Exceptions({});
    const long = ['src', 'bin', 'scripts', 'test', 'bench']
      .filter((dir) => existsSync(join(root, dir)))
      .flatMap((dir) => filesBelow(dir, ['.ts', '.js', '.mjs', '.sh']))
      .map((path) => ({ path, lines: readFileSync(join(root, path), 'utf8').trimEnd().split('\n').length }))
      .filter(({ path, lines }) => lines > maxLines && !exceptions.excuse(path))
      .map(({ path, lines }) => `${path} has ${lines} lines`);
    expect(long).toEqual([]);
    expect(exceptions.unused).toEqual([]);
  });

  it('of src leave nothing to be done later', () => {
    const found = sources.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => (/\b(TODO|FIXME|XXX)\b/.test(line) ? [`${path}:${index + 1}`] : [])),
    );
    expect(found).toEqual([]);
  });
});

describe('the lock file', () => {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');

  it('names no registry', () => {
    expect(lock).not.toMatch(/"resolved"/);
  });

  it('pins every package by its hash', () => {
    const { packages } = JSON.parse(lock) as { packages: Record<string, { integrity?: string; link?: boolean }> };
    const loose = Object.entries(packages).filter(([path, { integrity, link }]) => path && !integrity && !link);
    expect(loose.map(([path]) => path)).toEqual([]);
  });

  it('has no package that the oldest supported Node refuses', () => {
    const { packages } = JSON.parse(lock) as { packages: Record<string, { engines?: { node?: string } }> };
    const refusing = Object.entries(packages).filter(([, { engines }]) => !satisfies('20.19.0', engines?.node ?? '*'));
    expect(refusing.map(([path]) => path)).toEqual([]);
  });

  it('has no package that runs a script when it is installed', () => {
    const { packages } = JSON.parse(lock) as {
      packages: Record<string, { hasInstallScript?: boolean; dev?: boolean; optional?: boolean }>;
    };
    // esbuild only checks its own binary there, and works without; others would not be there after an npm that blocks scripts.
    const scripts = Object.entries(packages).filter(
      ([path, entry]) => entry.hasInstallScript && !/esbuild$/.test(path),
    );
    expect(scripts.filter(([, { optional }]) => !optional).map(([path]) => path)).toEqual([]);
  });
});
