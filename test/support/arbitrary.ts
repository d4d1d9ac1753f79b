/** Values for a schema of the contracts, most of them as it asks, some with a part that is anything else. */
import fc from 'fast-check';
import type * as z from 'zod/mini';

/** What people and programs send by mistake or on purpose. */
export const oddText = fc.oneof(
  fc.constantFrom(
    ...['', ' ', '\0', 'a\0b', '..', '../../etc/passwd', '/', '//', '\n', '%00', '%', '\ud800', 'é'.repeat(300)],
    ...['__proto__', 'constructor', 'toString', 'null', '-1', '1e999', 'NaN', "' or 1=1 --", '$(reboot)', '((a))'],
    ...['web', 'web.1', 'shop', 'default', 'a.com', '*.a.com/x', '[', '(a+)+$', 'x'.repeat(500)],
  ),
  fc.string({ unit: 'binary', maxLength: 30 }),
);
const oddNumber = fc.constantFrom(0, -1, 1, 0.5, 2 ** 31, 2 ** 53, Number.MAX_SAFE_INTEGER, -(2 ** 53), 1e308, 1000);
/** Any JSON, with keys that mean something to JavaScript among them. */
export const anything: fc.Arbitrary<unknown> = fc.oneof(
  { maxDepth: 2 },
  fc.constantFrom(null, true, false, [], {}, [[]], [null]),
  oddNumber,
  oddText,
  fc.json({ maxDepth: 2 }).map((text): unknown => JSON.parse(text)),
);

interface Def {
  type: string;
  shape?: Record<string, z.ZodMiniType>;
  innerType?: z.ZodMiniType;
  element?: z.ZodMiniType;
  valueType?: z.ZodMiniType;
  keyType?: z.ZodMiniType;
  options?: z.ZodMiniType[];
  entries?: Record<string, string>;
  values?: unknown[];
  checks?: { _zod: { def: { check: string; pattern?: RegExp } } }[];
}

/** Hex digests, labels and names, so that a part of the texts passes the schemas. */
const plainText = fc.constantFrom(
  'shop',
  'web',
  'a',
  'worker',
  'A_B',
  'x1',
  '/',
  '/x',
  'a.com',
  'node server.js',
  'v1',
);

function sound(schema: z.ZodMiniType, pick: (schema: z.ZodMiniType) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const def = schema._zod.def as unknown as Def;
  switch (def.type) {
    case 'object': {
      const shape = Object.entries(def.shape!).map(([key, value]) => [key, pick(value)]);
      return fc.record(Object.fromEntries(shape) as Record<string, fc.Arbitrary<unknown>>).map(withoutAbsent);
    }
    case 'optional':
      return fc.option(pick(def.innerType!), { nil: undefined });
    case 'default':
      return fc.option(pick(def.innerType!), { nil: undefined });
    case 'nullable':
      return fc.option(pick(def.innerType!));
    case 'array':
      return fc.array(pick(def.element!), { maxLength: 3 });
    case 'record':
      return fc.dictionary(fc.oneof(plainText, oddText), pick(def.valueType!), { maxKeys: 3 });
    case 'union':
      return fc.oneof(...def.options!.map(pick));
    case 'enum':
      return fc.constantFrom(...Object.values(def.entries!));
    case 'literal':
      return fc.constantFrom(...def.values!);
    case 'boolean':
      return fc.boolean();
    case 'number':
      return fc.oneof(fc.nat(2000), oddNumber);
    case 'string': {
      const pattern = def.checks?.find(({ _zod }) => _zod.def.pattern)?._zod.def.pattern;
      const fits = pattern ? fc.stringMatching(pattern) : fc.oneof(plainText, oddText);
      return fc.oneof({ weight: 3, arbitrary: fits }, { weight: 2, arbitrary: plainText });
    }
    default:
      return anything;
  }
}

const withoutAbsent = (record: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));

/**
 * Values for a schema. @param wrong one in so many parts is something else
 */
export function arbitraryOf(schema: z.ZodMiniType, wrong = 12): fc.Arbitrary<unknown> {
  const pick = (part: z.ZodMiniType): fc.Arbitrary<unknown> =>
    fc.oneof({ weight: wrong - 1, arbitrary: sound(part, pick) }, { weight: 1, arbitrary: anything });
  return sound(schema, pick);
}
