/** Listing one directory of a source under ignore rules. */
import { readdirSync, readFileSync } from 'node:fs';
import { compareNames } from './directory.ts';

/** Which entries belong to a source. Asked only for entries whose parents belong to it. */
export interface WalkRules {
  /** Names these rules: directories listed under rules of another key are listed again. */
  readonly key: string;
  /** Name of a file that holds further rules for the directory it lies in. */
  readonly nestedFile?: string;
  /** @param path relative to the source's root */
  keeps(path: string, isDirectory: boolean): boolean;
  /** These rules and those of a nested file's text. */
  extend(directory: string, text: string): WalkRules;
}

export const everything: WalkRules = { key: '', keeps: () => true, extend: () => everything };

export interface Listing {
  /** What belongs to the source, in the order of names. */
  names: string[];
  /** The rules for this directory and below. */
  rules: WalkRules;
  ownRules: boolean;
}

/** Reads the directory's own ignore file, if the rules know such files and `has` says that there is one. */
export function rulesWithin(absolute: string, path: string, outer: WalkRules, has: boolean): WalkRules {
  if (!has || outer.nestedFile === undefined) return outer;
  return outer.extend(path, readFileSync(`${absolute}/${outer.nestedFile}`, 'utf8'));
}

/**
 * @param refuse told about names that cannot be kept in a tree
 * @throws the file system's own errors
 */
export function listDirectory(
  absolute: string,
  path: string,
  outer: WalkRules,
  refuse: (path: string, reason: string) => void,
): Listing {
  const found = readdirSync(absolute, { withFileTypes: true });
  const nested = outer.nestedFile;
  const ownRules = nested !== undefined && found.some((entry) => entry.name === nested && entry.isFile());
  const rules = rulesWithin(absolute, path, outer, ownRules);
  const prefix = path === '' ? '' : `${path}/`;
  const kept = found.filter((entry) => rules === everything || rules.keeps(prefix + entry.name, entry.isDirectory()));
  const names = kept.map((entry) => entry.name);
  if (names.some((name) => name.includes('\ufffd'))) refuseOtherEncodings(absolute, prefix, new Set(names), refuse);
  return { names: names.sort(compareNames), rules, ownRules };
}

/** U+FFFD stands for bytes that are not UTF-8, unless it is what the name really holds. */
function refuseOtherEncodings(
  absolute: string,
  prefix: string,
  kept: Set<string>,
  refuse: (path: string, reason: string) => void,
): void {
  for (const bytes of readdirSync(absolute, { encoding: 'buffer' })) {
    const name = bytes.toString();
    if (!kept.has(name) || Buffer.from(name).equals(bytes)) continue;
    const shown = bytes
      .toString('latin1')
      .replace(/[^ -~]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
    refuse(prefix + shown, 'its name is not valid UTF-8');
  }
}
