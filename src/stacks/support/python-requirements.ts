/** requirements files of pip (https://pip.pypa.io/en/stable/reference/requirements-file-format/), as far as a cache key needs them. */
import { posix } from 'node:path';
import type { SourceView } from '../port.ts';
import { readText } from './source.ts';

export interface Requirements {
  /** Names of packages, normalised (PEP 503), of lines that name one. */
  packages: Set<string>;
  /** Whether there is anything to install at all. */
  any: boolean;
  /** Digests of what is read in: included files, wheels and directories of the source. */
  inputs: Record<string, string | null>;
  /** A directory of the source is installed itself: what comes out depends on all of it. */
  installsSource: boolean;
}

/** A package's name as PEP 503 compares it. */
export function normalName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

/** Reads a requirements file and those it includes (`-r`, `-c`). */
export async function readRequirements(view: SourceView, path: string): Promise<Requirements> {
  const found: Requirements = { packages: new Set(), any: false, inputs: {}, installsSource: false };
  await readInto(view, path, found, false);
  return found;
}

async function readInto(view: SourceView, path: string, found: Requirements, constraint: boolean): Promise<void> {
  if (Object.hasOwn(found.inputs, path)) return;
  found.inputs[path] = await view.digestOf(path);
  const text = (await readText(view, path)) ?? '';
  const beside = (target: string): string => posix.normalize(posix.join(posix.dirname(path), target));
  for (const line of logicalLines(text)) {
    const [, option, value] = /^(-r|--requirement|-c|--constraint)[ =]?\s*(\S+)/.exec(line) ?? [];
    if (option !== undefined && value !== undefined) {
      const includesConstraints = constraint || option === '-c' || option === '--constraint';
      if (!value.includes('://')) await readInto(view, beside(value), found, includesConstraints);
    } else if (!constraint) {
      await readLine(view, line, found);
    }
  }
}

async function readLine(view: SourceView, line: string, found: Requirements): Promise<void> {
  const editable = /^(?:-e|--editable)[ =]?\s*(\S+)/.exec(line)?.[1];
  const links = /^(?:-f|--find-links)[ =]?\s*(\S+)/.exec(line)?.[1];
  if (links !== undefined && !links.includes('://')) {
    const path = posix.normalize(links);
    found.inputs[path] = await view.digestOf(path);
    return;
  }
  if (line.startsWith('-') && editable === undefined) return;
  found.any = true;
  const name = /^([A-Za-z0-9][A-Za-z0-9._-]*)/.exec(line)?.[1];
  if (name !== undefined) found.packages.add(normalName(name));
  const local = localPath(editable ?? line);
  if (local === undefined) return;
  if (/\.(whl|tar\.gz|zip|tgz)$/.test(local)) found.inputs[local] = await view.digestOf(local);
  else found.installsSource = true;
}

/** The path in the source that a requirement points to, relative to its root (pip reads it so too); undefined for none. */
function localPath(requirement: string): string | undefined {
  const target = (/^\S+\s*@\s*file:(.*)/.exec(requirement)?.[1] ?? requirement)
    .replace(/\s+[;#].*$|\s+--.*$/, '')
    .trim();
  const bare = target.replace(/\[[^\]]*\]$/, '');
  if (bare.includes('://')) return undefined;
  return bare.startsWith('.') || bare.endsWith('.whl') || bare.includes('/') ? posix.normalize(bare) : undefined;
}

/** Lines without comments, with continuations joined. */
function logicalLines(text: string): string[] {
  return text
    .replaceAll(/\\\r?\n/g, ' ')
    .split(/\r?\n/)
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');
}
