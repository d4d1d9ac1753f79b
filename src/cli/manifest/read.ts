/** Reads a tree by a table of types. Everything that does not fit goes to `problems`, and reading goes on. */
import { nearest } from './nearest.ts';
import type { Problems } from './problems.ts';
import { describe, type ListNode, type MapNode, type Position, type TreeNode } from './tree.ts';
import {
  sameValue,
  type AnyType,
  type Fields,
  type Leaf,
  type ListOf,
  type MapOf,
  type ObjectOf,
  type Value,
} from './types.ts';

export class Reader {
  readonly problems: Problems;
  /** Where a key may belong that is unknown where it stands: key to path, as `command` to `processes.NAME.command`. */
  readonly elsewhere: ReadonlyMap<string, string>;
  /** The place of everything that was read, by its path joined with dots; for complaints made after reading. */
  readonly positions = new Map<string, Position>();

  constructor(problems: Problems, elsewhere: ReadonlyMap<string, string> = new Map()) {
    this.problems = problems;
    this.elsewhere = elsewhere;
  }

  /** The value, or undefined where it does not fit; parts that do not fit are left out. `path` names it in messages. */
  read<T extends AnyType>(type: T, node: TreeNode, path: string): Value<T> | undefined {
    return this.#read(type, node, path) as Value<T> | undefined;
  }

  #read(type: AnyType, node: TreeNode, path: string): unknown {
    this.positions.set(path, node.at);
    switch (type.kind) {
      case 'leaf':
        return this.#leaf(type, node, path);
      case 'list':
        return this.#list(type as ListOf<AnyType>, node, path);
      case 'map':
      case 'object':
        return this.#entries(type, node, path);
      case 'dropped': {
        const unset = node.kind === 'scalar' && node.value === null;
        if (type.reason !== undefined && !unset)
          this.problems.warn(`\`${path}\` has no effect: ${type.reason}`, node.at);
        return undefined;
      }
    }
  }

  #leaf(type: Leaf<unknown>, node: TreeNode, path: string): unknown {
    const value = node.kind === 'scalar' ? type.read(node) : undefined;
    if (value === undefined) {
      const hint = typeof type.hint === 'function' && node.kind === 'scalar' ? type.hint(node) : type.hint;
      this.#mismatch(node, path, type.expected, typeof hint === 'string' ? hint : undefined);
    }
    return value;
  }

  #mismatch(node: TreeNode, path: string, expected: string, hint?: string): void {
    const what = path === '' ? `\`${node.at.file}\`` : `\`${path}\``;
    this.problems.add(node.at, `${what} must be ${expected}, not ${describe(node)}`, hint);
  }

  #list(type: ListOf<AnyType>, node: TreeNode, path: string): unknown {
    if (node.kind !== 'list') {
      const example = node.kind === 'scalar' && node.variable === undefined && /^[\w./*-]{1,60}$/.test(node.text);
      this.#mismatch(node, path, type.expected, example ? `write [${node.text}]` : undefined);
      return undefined;
    }
    return this.#items(type, node, path);
  }

  #items(type: ListOf<AnyType>, node: ListNode, path: string): unknown[] {
    const values: unknown[] = [];
    for (const [index, item] of node.items.entries()) {
      const value = this.#read(type.of, item, `${path}[${index}]`);
      if (value === undefined) continue;
      if (type.unique === true && values.some((other) => sameValue(other, value))) {
        this.problems.add(item.at, `\`${path}\` names ${describe(item).replace(/^the text /, '')} twice`);
      } else {
        values.push(value);
      }
    }
    return values;
  }

  #entries(type: MapOf<AnyType> | ObjectOf<Fields>, node: TreeNode, path: string): unknown {
    // A key without a value, as when all that was below it is commented out, is an empty map.
    if (node.kind === 'scalar' && node.value === null) return {};
    if (node.kind === 'scalar' && type.kind === 'object' && type.shorthand !== undefined) {
      return this.#leaf(type.shorthand, node, path);
    }
    if (node.kind !== 'map') {
      this.#mismatch(node, path, 'a map of keys and values');
      return undefined;
    }
    const values: [string, unknown][] = [];
    for (const { key, at, value: inner } of node.entries) {
      const innerPath = path === '' ? key : `${path}.${key}`;
      const innerType = type.kind === 'map' ? this.#keyed(type, key, at, path) : this.#field(type, node, key, at);
      if (innerType === undefined) continue;
      // Cloud Foundry and Heroku take null for "not given".
      const unset = type.kind === 'object' && type.unknown === 'warned';
      if (unset && inner.kind === 'scalar' && inner.value === null) continue;
      const value = this.#read(innerType, inner, innerPath);
      if (value !== undefined) values.push([key, value]);
    }
    return Object.fromEntries(values);
  }

  #keyed(type: MapOf<AnyType>, key: string, at: Position, path: string): AnyType | undefined {
    if (type.keys.pattern.test(key)) return type.of;
    this.problems.add(
      at,
      `the key \`${shorten(key)}\` in \`${path}\` must be ${type.keys.expected}`,
      type.keys.hint?.(key),
    );
    return undefined;
  }

  #field(type: ObjectOf<Fields>, node: MapNode, key: string, at: Position): AnyType | undefined {
    if (Object.hasOwn(type.fields, key)) return type.fields[key]?.type;
    const present = new Set(node.entries.map((entry) => entry.key));
    const near = nearest(
      key,
      Object.keys(type.fields).filter((known) => !present.has(known)),
    );
    const belongs = this.elsewhere.get(key);
    if (type.unknown === 'refused' || near !== undefined) {
      const hint =
        belongs !== undefined
          ? `\`${key}\` belongs at \`${belongs}\``
          : near !== undefined
            ? `did you mean \`${near}\`?`
            : `known here: ${Object.keys(type.fields).join(', ')}`;
      this.problems.add(at, `unknown key \`${shorten(key)}\``, hint);
    } else {
      this.problems.warn(`\`${shorten(key)}\` has no effect: it is not a known attribute`, at);
    }
    return undefined;
  }
}

function shorten(key: string): string {
  return key.length > 60 ? `${key.slice(0, 60)}…` : key;
}
