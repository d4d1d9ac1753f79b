/** The repository's sources as the walls see them: files, what they import, and their syntax trees. */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');

export interface Import {
  /** As it is written. */
  specifier: string;
  /** Path from the repository's root for a relative import, else null. */
  file: string | null;
  /** Erased when the program is built: `import type`, or only `type` names. */
  typeOnly: boolean;
  line: number;
}

export interface Source {
  /** Path from the repository's root, with `/`. */
  path: string;
  text: string;
  lines: number;
  tree: ts.SourceFile;
  imports: Import[];
}

/** Paths of all files below `dir` with one of these endings; generated and foreign ones are left out. */
export function filesBelow(dir: string, endings: readonly string[]): string[] {
  const found: string[] = [];
  const walk = (path: string): void => {
    for (const item of readdirSync(join(root, path), { withFileTypes: true })) {
      const below = posix.join(path, item.name);
      if (item.isDirectory()) {
        if (item.name !== 'node_modules' && below !== 'test/fixtures') walk(below);
      } else if (endings.some((ending) => item.name.endsWith(ending))) found.push(below);
    }
  };
  walk(dir);
  return found.sort();
}

function parse(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8');
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const imports: Import[] = [];
  const add = (literal: ts.Node, typeOnly: boolean): void => {
    if (!ts.isStringLiteralLike(literal)) return;
    const specifier = literal.text;
    const file = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : null;
    imports.push({ specifier, file, typeOnly, line: lineOf(tree, literal) });
  };
  visit(tree, (node) => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isErased(node.importClause));
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier) add(node.moduleSpecifier, isErasedExport(node));
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [specifier] = node.arguments;
      if (specifier) add(specifier, false);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
  });
  return { path, text, lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0), tree, imports };
}

function isErased(clause: ts.ImportClause | undefined): boolean {
  if (!clause) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const named = clause.namedBindings;
  return !clause.name && !!named && ts.isNamedImports(named) && allTypes(named.elements);
}

function isErasedExport(node: ts.ExportDeclaration): boolean {
  const clause = node.exportClause;
  return node.isTypeOnly || (!!clause && ts.isNamedExports(clause) && allTypes(clause.elements));
}

const allTypes = (elements: readonly { isTypeOnly: boolean }[]): boolean =>
  elements.length > 0 && elements.every((element) => element.isTypeOnly);

/** Calls `look` for a node and all below it. */
export function visit(node: ts.Node, look: (node: ts.Node) => void): void {
  look(node);
  ts.forEachChild(node, (child) => visit(child, look));
}

/** Line of a node, from 1. */
export const lineOf = (tree: ts.SourceFile, node: ts.Node): number =>
  tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;

/** All sources of src, parsed once. */
export const sources: readonly Source[] = filesBelow('src', ['.ts']).map(parse);
const byPath = new Map(sources.map((source) => [source.path, source]));

/** @throws Error when the file is gone: a test that names it must be kept up */
export function source(path: string): Source {
  const found = byPath.get(path);
  if (!found) throw new Error(`${path} does not exist (any more); correct the test that names it`);
  return found;
}

/** Files that `entry` needs at run time (itself included), and the packages and Node modules that these import. */
export function closure(entry: string): { files: string[]; packages: Map<string, string> } {
  const files = new Set<string>();
  const packages = new Map<string, string>();
  const walk = (path: string): void => {
    if (files.has(path)) return;
    files.add(path);
    for (const { file, specifier, typeOnly } of source(path).imports) {
      if (typeOnly) continue;
      if (file === null) packages.set(specifier, path);
      else walk(file);
    }
  };
  walk(entry);
  return { files: [...files], packages };
}

/** Exceptions to a rule, each with its reason. Rows that excuse nothing are reported too, so that tables stay true. */
export class Exceptions {
  readonly #rows: ReadonlyMap<string, string>;
  readonly #used = new Set<string>();

  /** @param rows `place: reason` */
  constructor(rows: Readonly<Record<string, string>>) {
    this.#rows = new Map(Object.entries(rows));
  }

  excuse(place: string): boolean {
    if (!this.#rows.has(place)) return false;
    this.#used.add(place);
    return true;
  }

  get unused(): string[] {
    return [...this.#rows.keys()].filter((place) => !this.#used.has(place));
  }
}
