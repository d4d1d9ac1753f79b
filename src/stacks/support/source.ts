/** Small questions that stacks ask of a source tree. */
import { PaasError } from '../../shared/errors.ts';
import type { DetectContext, SourceView } from '../port.ts';

/** Text of a file, without a byte order mark; null when there is none. */
export async function readText(view: SourceView, path: string): Promise<string | null> {
  const bytes = await view.read(path);
  if (bytes === null) return null;
  const text = bytes.toString('utf8');
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** Names of the plain files (and links) of a directory. */
export async function fileNames(view: SourceView, dir = ''): Promise<string[]> {
  const entries = await view.list(dir);
  return entries.filter((entry) => entry.kind !== 'dir').map((entry) => entry.name);
}

export async function directoryNames(view: SourceView, dir = ''): Promise<string[]> {
  const entries = await view.list(dir);
  return entries.filter((entry) => entry.kind === 'dir').map((entry) => entry.name);
}

/** The first of `candidates` that is there. */
export function firstOf(names: readonly string[], candidates: readonly string[]): string | undefined {
  return candidates.find((candidate) => names.includes(candidate));
}

/**
 * A JSON object, or null when there is no such file.
 * @throws PaasError source_invalid when it is not one.
 */
export async function readJsonObject(view: SourceView, path: string): Promise<Record<string, unknown> | null> {
  const text = await readText(view, path);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PaasError('source_invalid', `${path} is not valid JSON: ${why}`, { hint: `Correct ${path}.`, cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PaasError('source_invalid', `${path} must hold a JSON object`, { hint: `Correct ${path}.` });
  }
  return value as Record<string, unknown>;
}

/** The commands the app brings along: those of its spec and, not parsed any further, its Procfile. */
export async function givenCommands({ view, app }: DetectContext): Promise<string[]> {
  const commands = Object.values(app.processes).flatMap((process) => process.command ?? []);
  const procfile = await readText(view, 'Procfile');
  return procfile === null ? commands : [...commands, procfile];
}
