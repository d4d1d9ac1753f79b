/**
 * What of a directory belongs to the source. Of `.paasignore`, `.cfignore`, `.slugignore` in its root, the first that is
 * there counts alone; without any of them, `.gitignore` does, also those of directories below. All have git's syntax.
 *
 * Always left out, and not to be brought back by a `!` rule:
 * - `.git`, `.hg`, `.svn`, `.DS_Store`, at any depth
 * - in the root: manifests (paas.yml, manifest.yml; a change of one is no change of the source) and the three ignore files.
 *   Files of these names further down are the app's own. Procfile, app.json and .gitignore stay in.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ignore, { type Ignore } from 'ignore';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import type { WalkRules } from '../../shared/tree/listing.ts';

const anywhere = new Set(['.git', '.hg', '.svn', '.DS_Store']);
const ignoreFiles = ['.paasignore', '.cfignore', '.slugignore'];
const inRoot = new Set(['paas.yml', 'paas.yaml', 'manifest.yml', 'manifest.yaml', ...ignoreFiles]);

interface Level {
  /** Directory of the rules, with a slash at its end, or '' for the root. */
  prefix: string;
  rules: Ignore;
}

class SourceRules implements WalkRules {
  readonly key: string;
  readonly nestedFile?: string;
  /** Outermost first. */
  readonly #levels: Level[];

  constructor(key: string, levels: Level[], nestedFile: string | undefined) {
    this.key = key;
    this.#levels = levels;
    if (nestedFile !== undefined) this.nestedFile = nestedFile;
  }

  keeps(path: string, isDirectory: boolean): boolean {
    const slash = path.lastIndexOf('/');
    if (anywhere.has(slash < 0 ? path : path.slice(slash + 1)) || (slash < 0 && inRoot.has(path))) return false;
    // As in git, the deepest file with an opinion decides.
    for (let i = this.#levels.length - 1; i >= 0; i--) {
      const { prefix, rules } = this.#levels[i]!;
      const relative = path.slice(prefix.length);
      const { ignored, unignored } = rules.test(isDirectory ? `${relative}/` : relative);
      if (ignored) return false;
      if (unignored) return true;
    }
    return true;
  }

  extend(directory: string, text: string): SourceRules {
    const prefix = directory === '' ? '' : `${directory}/`;
    const level = { prefix, rules: parse(text, `${prefix}${this.nestedFile ?? ''}`) };
    return new SourceRules(keyOf(this.key, prefix, text), [...this.#levels, level], this.nestedFile);
  }
}

const keyOf = (...parts: string[]): string => createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);

function parse(text: string, file: string): Ignore {
  try {
    // git's default on Linux; by default the package takes upper and lower case for the same.
    return ignore({ ignorecase: false }).add(text.replace(/^\ufeff/, ''));
  } catch (cause) {
    throw new PaasError('source_invalid', `${file} has a rule that cannot be understood.`, { cause });
  }
}

/**
 * The rules for a source.
 * @param directory absolute path
 * @param options.git whether `.gitignore` may count: not for what comes out of a repository or an archive, where somebody
 *   has chosen what is in it already (git itself tracks files that are ignored but were added)
 */
export function sourceRules(directory: string, options: { git: boolean }): WalkRules {
  for (const name of ignoreFiles) {
    const text = readIfThere(join(directory, name));
    if (text !== undefined) return new SourceRules('', [], undefined).extend('', text);
  }
  return new SourceRules('none', [], options.git ? '.gitignore' : undefined);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT' || errnoOf(cause) === 'EISDIR') return undefined;
    throw new PaasError('source_invalid', `Cannot read ${file}: ${String(errnoOf(cause))}.`, { cause });
  }
}
