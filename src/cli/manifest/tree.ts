/** A parsed document with the position of every key and value, so that each complaint can name its place. */

/** Line and column count from 1. */
export interface Position {
  file: string;
  line: number;
  column: number;
}

export interface ScalarNode {
  kind: 'scalar';
  value: string | number | boolean | null;
  /** As written: `007` and `1.0` stay what they are, where `value` is 7 and 1. */
  text: string;
  at: Position;
  /** The variable `((name))` that it came from; its value is then never shown in a message. */
  variable?: string;
}

export interface ListNode {
  kind: 'list';
  items: TreeNode[];
  at: Position;
}

export interface MapEntry {
  key: string;
  at: Position;
  value: TreeNode;
  /** The value defines an anchor: the key may be there for that alone. */
  anchored?: boolean;
}

export interface MapNode {
  kind: 'map';
  entries: MapEntry[];
  at: Position;
}

export type TreeNode = ScalarNode | ListNode | MapNode;

/** The value under `key`, if the node is a map that has it. */
export function child(node: TreeNode | undefined, key: string): TreeNode | undefined {
  if (node?.kind !== 'map') return undefined;
  return node.entries.find((entry) => entry.key === key)?.value;
}

/** Plain data, for what is passed on as JSON. Scalars that are not text keep their type. */
export function toData(node: TreeNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(toData);
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, toData(value)]));
}

/** What a message says was found: `the text "two"`, `a list`, `nothing`. Values of variables are not shown. */
export function describe(node: TreeNode): string {
  if (node.kind === 'list') return 'a list';
  if (node.kind === 'map') return 'a map';
  if (node.variable !== undefined) return `the value of ((${node.variable}))`;
  if (node.value === null) return 'nothing';
  const text = node.text.length > 60 ? `${node.text.slice(0, 60)}…` : node.text;
  const kind = { string: 'text', number: 'number', boolean: 'truth value' }[typeof node.value as 'string'];
  return `the ${kind} \`${text}\``;
}
