/** A database in MaxMind's format 2.0 (https://maxmind.github.io/MaxMind-DB/), as small as tests need: IPv4, 24-bit records. */
import { isIPv4 } from 'node:net';

type Value = string | number | bigint | Value[] | { [key: string]: Value };

/** @param networks `10.2.0.0/16` -> its record; none may lie within another */
export function mmdb(networks: Record<string, Value>, type = 'GeoLite2-City'): Buffer {
  const data: Buffer[] = [];
  let dataSize = 0;
  const tree: Node = [null, null];
  for (const [cidr, record] of Object.entries(networks)) {
    const bytes = encode(record);
    insert(tree, bitsOf(cidr), dataSize);
    data.push(bytes);
    dataSize += bytes.length;
  }
  const nodes: Node[] = [];
  const number = (node: Node): void => {
    nodes.push(node);
    for (const child of node) if (Array.isArray(child)) number(child);
  };
  number(tree);
  const places = new Map(nodes.map((node, index) => [node, index]));
  const search = Buffer.alloc(nodes.length * 6);
  for (const [index, node] of nodes.entries()) {
    for (const side of [0, 1] as const) {
      const child = node[side];
      // A node, nothing (the number of nodes), or data behind the 16 bytes that separate them.
      const value =
        child === null ? nodes.length : Array.isArray(child) ? places.get(child)! : nodes.length + 16 + child;
      search.writeUIntBE(value, index * 6 + side * 3, 3);
    }
  }
  const metadata = encode({
    ...{ node_count: nodes.length, record_size: 24, ip_version: 4, database_type: type, languages: ['en'] },
    ...{ binary_format_major_version: 2, binary_format_minor_version: 0, build_epoch: 1_700_000_000n },
    description: { en: 'made by a test' },
  });
  const marker = Buffer.concat([Buffer.from([0xab, 0xcd, 0xef]), Buffer.from('MaxMind.com')]);
  return Buffer.concat([search, Buffer.alloc(16), ...data, marker, metadata]);
}

/** What GeoLite2-City says of a place. */
export const place = (country: string, ...subdivisions: string[]): Value => ({
  country: { iso_code: country, names: { en: country } },
  subdivisions: subdivisions.map((code) => ({ iso_code: code })),
});

/** Children: another node, nothing, or an offset of the data. */
type Node = [Node | number | null, Node | number | null];

function bitsOf(cidr: string): number[] {
  const [address = '', length = '32'] = cidr.split('/');
  if (!isIPv4(address)) throw new Error(`${cidr} is not IPv4`);
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const bits = Array.from({ length: 32 }, (_, i) => Math.floor(value / 2 ** (31 - i)) % 2);
  return bits.slice(0, Number(length));
}

function insert(node: Node, [bit = 0, ...rest]: number[], offset: number): void {
  const side = bit as 0 | 1;
  if (rest.length === 0) node[side] = offset;
  else {
    const next: Node = Array.isArray(node[side]) ? node[side] : [null, null];
    node[side] = next;
    insert(next, rest, offset);
  }
}

const types = { string: 2, uint32: 6, map: 7, uint64: 9, array: 11 };

function encode(value: Value): Buffer {
  if (typeof value === 'string')
    return Buffer.concat([control(types.string, Buffer.byteLength(value)), Buffer.from(value)]);
  if (typeof value === 'number') return number(types.uint32, 4, BigInt(value));
  if (typeof value === 'bigint') return number(types.uint64, 8, value);
  if (Array.isArray(value)) return Buffer.concat([control(types.array, value.length), ...value.map(encode)]);
  const entries = Object.entries(value);
  return Buffer.concat([
    control(types.map, entries.length),
    ...entries.flatMap(([key, item]) => [encode(key), encode(item)]),
  ]);
}

function number(type: number, size: number, value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return Buffer.concat([control(type, size), bytes.subarray(8 - size)]);
}

/** Types above 7 stand in a second byte; sizes from 29 in one more. */
function control(type: number, size: number): Buffer {
  const short = size < 29 ? size : 29;
  const first = type <= 7 ? [(type << 5) | short] : [short, type - 7];
  return Buffer.from(size < 29 ? first : [...first, size - 29]);
}
