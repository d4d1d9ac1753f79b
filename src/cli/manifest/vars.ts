/** `((name))` in Cloud Foundry manifests, with the rules of its CLI (bosh templates): values from `--var` and `--vars-file`. */
import type { Problems } from './problems.ts';
import { child, type MapEntry, type ScalarNode, type TreeNode } from './tree.ts';

const placeholder = /\(\((!?[-/.\w\p{L}]+)\)\)/gu;
/** Bounds on what a document grows to, against variables that multiply. */
const mostText = 4 * 1024 * 1024;
const mostNodes = 100_000;

/** Values by name. `--var` comes before files, a later file before an earlier one. */
export interface Variables {
  flags: Readonly<Record<string, string>>;
  files: readonly TreeNode[];
}

/**
 * The tree with every `((name))` replaced, in keys too. Names without a value are one problem that lists them all.
 * @throws PaasError manifest_invalid when it grows out of bounds
 */
export function interpolate(tree: TreeNode, variables: Variables, problems: Problems): TreeNode {
  const missing = new Set<string>();
  const budget = { text: mostText, nodes: mostNodes };
  const lookup = (name: string): TreeNode | undefined => {
    const found = find(name, variables);
    if (found === undefined) missing.add(name);
    return found;
  };

  const fill = (node: TreeNode): TreeNode => {
    if (node.kind === 'list') return { ...node, items: node.items.map(fill) };
    if (node.kind === 'map') return { ...node, entries: node.entries.map(fillEntry) };
    if (typeof node.value !== 'string' || !node.value.includes('((')) return node;
    const whole = /^\(\((!?[-/.\w\p{L}]+)\)\)$/u.exec(node.value)?.[1];
    if (whole !== undefined) {
      const value = lookup(whole);
      if (value === undefined) return node;
      budget.nodes -= count(value, budget.nodes);
      if (budget.nodes < 0) return node;
      // Complaints about the value name the place that uses it.
      return value.kind === 'scalar' ? { ...value, at: node.at, variable: whole } : value;
    }
    const text = fillText(node.value, node);
    return text === node.value ? node : { ...node, value: text, text, variable: placeholderOf(node.value) };
  };

  const fillEntry = (entry: MapEntry): MapEntry => {
    const { key, at, value } = entry;
    return { ...entry, key: fillText(key, { kind: 'scalar', value: key, text: key, at }), value: fill(value) };
  };

  const fillText = (template: string, node: ScalarNode): string =>
    template.replace(placeholder, (whole, name: string) => {
      const value = lookup(name);
      if (value === undefined) return whole;
      if (value.kind !== 'scalar' || value.value === null) {
        problems.add(node.at, `the variable ((${name})) inside a text must be a text or a number`);
        return whole;
      }
      budget.text -= value.text.length;
      return budget.text < 0 ? whole : value.text;
    });

  const filled = fill(tree);
  if (budget.text < 0 || budget.nodes < 0) {
    problems.add(tree.at, 'variables expand to too much');
    problems.throwIfAny();
  }
  if (missing.size > 0) {
    const names = [...missing].map((name) => `((${name}))`).join(', ');
    const hint = 'give them with `--var NAME=VALUE` or `--vars-file FILE`';
    problems.add(firstUse(tree, missing) ?? tree.at, `no value for ${names}`, hint);
  }
  return filled;
}

function placeholderOf(template: string): string {
  return [...template.matchAll(placeholder)].map(([, name]) => name).join(')), ((');
}

/** `((a.b))` is the key `a.b`, or `b` within `a`. A leading `!` (credhub: do not encode) has no meaning for plain values. */
function find(written: string, { flags, files }: Variables): TreeNode | undefined {
  const name = written.replace(/^!/, '');
  if (Object.hasOwn(flags, name)) return flagNode(flags[name] ?? '');
  for (const file of files.toReversed()) {
    const found = child(file, name) ?? nested(file, name.split('.'));
    if (found !== undefined) return found;
  }
  return undefined;
}

function nested(file: TreeNode, parts: string[]): TreeNode | undefined {
  return parts.reduce<TreeNode | undefined>((node, part) => child(node, part), file);
}

/** The type of a `--var` value is what YAML would make of it; the text stays as written. */
function flagNode(text: string): ScalarNode {
  const number = /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?$/.test(text);
  const value = text === 'true' || text === 'false' ? text === 'true' : number ? Number(text) : text;
  return { kind: 'scalar', value, text, at: { file: '--var', line: 1, column: 1 } };
}

/** Nodes in a tree, counted no further than `limit`. */
function count(node: TreeNode, limit: number): number {
  const open = [node];
  let nodes = 0;
  for (let next = open.pop(); next !== undefined && nodes <= limit; next = open.pop()) {
    nodes++;
    if (next.kind === 'list') for (const item of next.items) open.push(item);
    if (next.kind === 'map') for (const entry of next.entries) open.push(entry.value);
  }
  return nodes;
}

function firstUse(node: TreeNode, names: ReadonlySet<string>): ScalarNode['at'] | undefined {
  const uses = (text: string): boolean => [...text.matchAll(placeholder)].some(([, name = '']) => names.has(name));
  if (node.kind === 'scalar') return typeof node.value === 'string' && uses(node.value) ? node.at : undefined;
  const parts = node.kind === 'list' ? node.items : node.entries;
  for (const part of parts) {
    const at = 'key' in part ? (uses(part.key) ? part.at : firstUse(part.value, names)) : firstUse(part, names);
    if (at !== undefined) return at;
  }
  return undefined;
}
