/**
 * The few kinds of values that manifests are made of. A format is a table of fields over these types (schema.ts); reading,
 * complaints, documentation and TypeScript types all come from that table.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ScalarNode } from './tree.ts';

/** One scalar. `read` answers undefined for what does not fit; the message then says what was expected and found. */
export interface Leaf<T> {
  kind: 'leaf';
  /** Completes "must be …". */
  expected: string;
  hint?: string | ((node: ScalarNode) => string | undefined);
  read: (node: ScalarNode) => T | undefined;
}

export interface ListOf<T> {
  kind: 'list';
  of: T;
  expected: string;
  /** Items that read the same are refused. */
  unique?: boolean;
}

/** Keys of the writer's choice. */
export interface MapOf<T> {
  kind: 'map';
  /** What a key must be, as in "must be a DNS label"; and the test. */
  keys: { expected: string; pattern: RegExp; hint?: (key: string) => string | undefined };
  of: T;
}

export interface ObjectOf<F> {
  kind: 'object';
  fields: F;
  /** What happens to keys that are not in `fields`; `warned` still refuses what looks like a slip of the pen. */
  unknown: 'refused' | 'warned';
  /** A scalar that stands for the object, as `health: /healthz`. */
  shorthand?: Leaf<object>;
}

/** Known to the format, without a meaning on this platform: warned about. */
export interface Dropped {
  kind: 'dropped';
  /** Undefined: nothing is lost, so nothing is said. */
  reason?: string;
}

export interface Field<T> {
  type: T;
  about: string;
  /** YAML of a value, tried in a test and shown in the documentation. */
  example?: string;
  /** What holds when it is absent, in words. */
  otherwise?: string;
}

// Types nest without end; the table as a whole is checked where it is written.
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- stands for every type of value
export type AnyType = Leaf<any> | ListOf<any> | MapOf<any> | ObjectOf<any> | Dropped;
export type Fields = Record<string, Field<AnyType>>;

/** The TypeScript type of what a field table reads. */
export type Value<T> =
  T extends Leaf<infer V>
    ? V
    : T extends ListOf<infer U>
      ? Value<U>[]
      : T extends MapOf<infer U>
        ? Record<string, Value<U>>
        : T extends ObjectOf<infer F>
          ? { [K in keyof F]?: F[K] extends Field<infer U> ? Value<U> : never }
          : never;

export function list<T extends AnyType>(of: T, expected: string, unique = false): ListOf<T> {
  return { kind: 'list', of, expected, unique };
}

export function map<T extends AnyType>(keys: MapOf<T>['keys'], of: T): MapOf<T> {
  return { kind: 'map', keys, of };
}

export function object<F extends Fields>(
  fields: F,
  options: Partial<Pick<ObjectOf<F>, 'unknown' | 'shorthand'>> = {},
): ObjectOf<F> {
  return { kind: 'object', fields, unknown: 'refused', ...options };
}

export function field<T extends AnyType>(
  type: T,
  about: string,
  more: Omit<Field<T>, 'type' | 'about'> = {},
): Field<T> {
  return { type, about, ...more };
}

export function dropped(reason?: string): Field<Dropped> {
  return { type: { kind: 'dropped', ...(reason === undefined ? {} : { reason }) }, about: reason ?? 'Nothing to do.' };
}

/** Whether two read values mean the same. */
export const sameValue = isDeepStrictEqual;
