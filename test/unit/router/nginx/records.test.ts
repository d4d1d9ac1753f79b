import { describe, expect, it } from 'vitest';
import { readStatus } from '../../../../src/router/nginx/admin.ts';
import { luaLiteral } from '../../../../src/router/nginx/literal.ts';
import { Numbers } from '../../../../src/router/nginx/numbers.ts';
import {
  countedOf,
  difference,
  formatRecords,
  newCounted,
  parseRecords,
  toRecords,
} from '../../../../src/router/nginx/records.ts';
import type { RouteTable } from '../../../../src/shared/contracts/routes.ts';

const around = { tlsPort: undefined, location: () => ({}) };

function table(instances: string[], hosts = ['a.test']): RouteTable {
  const endpoints = instances.map((instance, index) => {
    return { instance, name: `web.${index + 1}`, release: 2, address: '10.0.0.7', port: 20_000 + index };
  });
  const backend = { app: 'default/dev/a', appId: 'app_a', state: 'serving' as const, endpoints };
  return {
    version: 9,
    http: hosts.map((host) => ({ host, path: '/', backend: 'a' })),
    tcp: [],
    backends: { a: backend },
  };
}

describe('literals', () => {
  it('are one line of printable ASCII, whatever the text has in it', () => {
    const literal = luaLiteral({ page: 'a"b\\c\n\tü]]--', list: [1, true, 'x'], left: undefined });
    expect(literal).toBe('{["page"]="a\\034b\\092c\\010\\009\\195\\188]]--",["list"]={1,true,"x"},}');
    expect(literal).toMatch(/^[\x20-\x7e]*$/);
  });
});

describe('records', () => {
  it('change where the table changes, and nowhere else', () => {
    const counted = newCounted();
    const before = toRecords(table(['i1'], ['a.test', 'b.test']), counted, around);
    const after = toRecords(table(['i1', 'i2'], ['a.test', 'c.test']), counted, around);
    const lines = difference(before, after).trim().split('\n');
    expect(lines.map((line) => line.split('\t')[0]).sort()).toEqual([
      '+b:a',
      '+e:1',
      '+h:c.test',
      '+slots',
      '-h:b.test',
    ]);
    expect(difference(after, after)).toBe('');
  });

  it('are read back from disk with what is counted under which number', () => {
    const counted = newCounted();
    const records = toRecords(table(['i 1', 'i"2']), counted, around);
    const read = parseRecords(formatRecords(records))!;
    expect(read).toEqual(records);
    expect([...countedOf(read).slots.entries()]).toEqual([...counted.slots.entries()]);
    expect([...countedOf(read).counters.entries()]).toEqual([['2 app_a', 0]]);
  });

  it('are known to be cut short', () => {
    const text = formatRecords(toRecords(table(['i1']), newCounted(), around));
    for (const length of [0, 10, text.length - 1]) expect(parseRecords(text.slice(0, length))).toBeNull();
  });

  it('say which numbers were given out just now', () => {
    const counted = newCounted();
    const fresh: number[] = [];
    toRecords(table(['i1']), counted, around, fresh);
    toRecords(table(['i1', 'i2']), counted, around, fresh);
    expect(fresh).toEqual([0, 1]);
  });
});

describe('numbers', () => {
  it('stay with their name, and are given out again last', () => {
    const numbers = new Numbers(2);
    expect(numbers.take('a')).toEqual({ number: 0, fresh: true });
    expect(numbers.take('a')).toEqual({ number: 0, fresh: false });
    numbers.release('a');
    expect(numbers.take('b')).toEqual({ number: 1, fresh: true });
    expect(numbers.take('c')).toEqual({ number: 0, fresh: true });
    expect(numbers.take('d')).toBeNull();
  });
});

describe('a status', () => {
  it('is read from lines', () => {
    const text = 'version\t7\ngeneration\t3\nepoch\te\nconfiguration\tc\nopen\t4\t2\nejected\t5';
    expect(readStatus(text)).toEqual({
      ...{ version: 7, generation: 3, epoch: 'e', configuration: 'c' },
      ...{ open: new Map([[4, 2]]), ejected: [5] },
    });
  });
});
