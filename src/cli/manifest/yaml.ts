/**
 * YAML 1.2 (core schema) into a tree with positions. Anchors, aliases and merge keys are resolved here. Bounded against
 * nesting and alias bombs before anything recursive touches the document.
 */
import type * as Yaml from 'yaml';
import type { CST, ParsedNode, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import type { Problems } from './problems.ts';
import type { ListNode, MapEntry, Position, ScalarNode, TreeNode } from './tree.ts';

const deepest = 60;
/** Nodes after all aliases are expanded. A large real manifest has a few hundred. */
const mostNodes = 100_000;
const mostErrors = 20;

/**
 * Parses one document. Syntax errors, duplicate keys and bombs go to `problems`; then the answer may be partial or
 * undefined. An empty document is a null scalar.
 */
export async function parseYaml(text: string, file: string, problems: Problems): Promise<TreeNode | undefined> {
  const yaml = await import('yaml');
  const { Composer, LineCounter, Parser } = yaml;
  const lines = new LineCounter();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };

  const tokens: CST.Token[] = [];
  let errors = 0;
  for (const token of new Parser(lines.addNewLine).parse(text)) {
    if (token.type === 'error' && ++errors > mostErrors) break;
    if (tooDeep(token)) {
      problems.add(at(token.offset), `nested more than ${deepest} levels deep`);
      return undefined;
    }
    tokens.push(token);
  }
  // Duplicate keys are found here and not by the composer, whose search is quadratic.
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false, schema: 'core' });
  const [document, second] = [...composer.compose(tokens, true, text.length)];
  if (document === undefined) return undefined;
  if (second !== undefined) {
    problems.add(at(second.range[0]), 'a second YAML document', 'a manifest is one document, with one `---` at most');
  }
  for (const flaw of [...document.errors, ...document.warnings].slice(0, mostErrors)) {
    const reason = flaw.message.replace(/\.$/, '');
    problems.add(at(flaw.pos[0]), `not valid YAML: ${reason}`, hintFor(flaw.code));
  }
  if (document.errors.length > 0) return undefined;
  if (document.contents === null) return { kind: 'scalar', value: null, text: '', at: at(0) };
  return new Converter(yaml, at, problems).convert(document.contents);
}

function hintFor(code: string): string | undefined {
  if (code === 'TAB_AS_INDENT') return 'indent with blanks';
  if (code === 'BAD_ALIAS') return 'put text that begins with * or & in quotes';
  if (code === 'TAG_RESOLVE_FAILED') return 'put text that begins with ! in quotes';
  return undefined;
}

/** Walks the concrete syntax without recursion, since what composes it recurses and dies of deep nesting. */
function tooDeep(token: CST.Token): boolean {
  const open: { token: CST.Token; depth: number }[] = [{ token, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const depth = next.depth + 1;
    // A document and the pairs of a map count too, hence twice the levels that are meant.
    if (depth > 2 * deepest) return true;
    if ('value' in next.token && typeof next.token.value === 'object') open.push({ token: next.token.value, depth });
    if (!('items' in next.token)) continue;
    for (const item of next.token.items) {
      if (item.key) open.push({ token: item.key, depth });
      if (item.value) open.push({ token: item.value, depth });
    }
  }
  return false;
}

interface Converted {
  node: TreeNode;
  /** Nodes in it with aliases expanded. */
  size: number;
}

class Converter {
  readonly #anchors = new Map<string, Converted | 'open'>();
  readonly #yaml: typeof Yaml;
  readonly #at: (offset: number) => Position;
  readonly #problems: Problems;
  #anchorsSeen = 0;
  #exploded = false;

  constructor(yaml: typeof Yaml, at: (offset: number) => Position, problems: Problems) {
    this.#yaml = yaml;
    this.#at = at;
    this.#problems = problems;
  }

  convert(node: ParsedNode): TreeNode | undefined {
    const { node: tree } = this.#node(node, 0);
    return this.#exploded ? undefined : tree;
  }

  /** `offset` is the place of what has no text of its own, as the value in `key:`. */
  #node(node: unknown, offset: number): Converted {
    const parsed = this.#yaml.isNode(node) ? (node as ParsedNode) : null;
    const at = this.#at(parsed?.range[0] ?? offset);
    const anchor = parsed !== null && 'anchor' in parsed ? parsed.anchor : undefined;
    if (anchor !== undefined) this.#anchors.set(anchor, 'open');
    const made = this.#convert(parsed, at);
    if (anchor !== undefined) {
      this.#anchors.set(anchor, made);
      this.#anchorsSeen++;
    }
    if (made.size > mostNodes && !this.#exploded) {
      this.#exploded = true;
      this.#problems.add(at, `more than ${mostNodes} values, with aliases expanded`, 'aliases of aliases multiply');
    }
    return this.#exploded ? nothing(at) : made;
  }

  #convert(node: ParsedNode | null, at: Position): Converted {
    if (node === null) return nothing(at);
    if (this.#yaml.isAlias(node)) return this.#alias(node.source, at);
    if (this.#yaml.isMap(node)) return this.#map(node, at);
    if (this.#yaml.isSeq(node)) return this.#list(node, at);
    return { node: this.#scalar(node, at), size: 1 };
  }

  #alias(name: string, at: Position): Converted {
    const target = this.#anchors.get(name);
    if (target !== undefined && target !== 'open') return target;
    const why = target === 'open' ? 'refers to itself' : 'is not defined above';
    this.#problems.add(at, `the alias \`*${name}\` ${why}`);
    return nothing(at);
  }

  #list(list: YAMLSeq.Parsed, at: Position): Converted {
    const made: ListNode = { kind: 'list', items: [], at };
    let size = 1;
    for (const item of list.items) {
      const { node, size: part } = this.#node(item, list.range[0]);
      made.items.push(node);
      size += part;
      if (this.#exploded) break;
    }
    return { node: made, size };
  }

  #map(map: YAMLMap.Parsed, at: Position): Converted {
    const own = new Map<string, MapEntry>();
    const merged = new Map<string, MapEntry>();
    let size = 1;
    for (const pair of map.items) {
      const key = this.#node(pair.key, map.range[0]).node;
      const anchorsBefore = this.#anchorsSeen;
      const value = this.#node(pair.value, pair.key.range[1]);
      const anchored = this.#anchorsSeen > anchorsBefore;
      size += value.size + 1;
      if (key.kind !== 'scalar' || key.value === null) {
        this.#problems.add(key.at, `a key must be text, not ${key.kind === 'scalar' ? 'nothing' : `a ${key.kind}`}`);
      } else if (key.text === '<<' && 'type' in pair.key && pair.key.type === 'PLAIN') {
        this.#merge(value.node, merged);
      } else {
        this.#entry(own, { key: key.text, at: key.at, value: value.node, anchored });
      }
      if (this.#exploded) break;
    }
    // What the map says itself comes before what it merges, wherever the merge key stands (YAML 1.1, "Merge Key").
    const entries = [...own.values(), ...[...merged.values()].filter((entry) => !own.has(entry.key))];
    return { node: { kind: 'map', entries, at }, size };
  }

  #entry(own: Map<string, MapEntry>, entry: MapEntry): void {
    const first = own.get(entry.key);
    if (first === undefined) own.set(entry.key, entry);
    else this.#problems.add(entry.at, `duplicate key \`${entry.key}\``, `it is first given in line ${first.at.line}`);
  }

  #merge(source: TreeNode, into: Map<string, MapEntry>): void {
    for (const map of source.kind === 'list' ? source.items : [source]) {
      if (map.kind !== 'map') {
        this.#problems.add(map.at, 'a merge key `<<` takes a map, or a list of maps');
        continue;
      }
      for (const entry of map.entries) if (!into.has(entry.key)) into.set(entry.key, entry);
    }
  }

  #scalar(node: Scalar, at: Position): ScalarNode {
    const { value } = node;
    if (typeof value === 'string') return scalar(value, value, at);
    const text = node.source ?? String(value);
    if (typeof value === 'number' || typeof value === 'boolean' || value === null) return scalar(value, text, at);
    this.#problems.add(at, `the tag \`${node.tag ?? '!'}\` has no meaning here`, 'put the value in quotes');
    return scalar(null, text, at);
  }
}

function scalar(value: ScalarNode['value'], text: string, at: Position): ScalarNode {
  return { kind: 'scalar', value, text, at };
}

function nothing(at: Position): Converted {
  return { node: scalar(null, '', at), size: 1 };
}
