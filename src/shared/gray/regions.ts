/** Where clients are, by a database in MaxMind's format (https://maxmind.github.io/MaxMind-DB/): GeoLite2 City or Country. */
import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { Reader } from 'maxmind';
import type { RouteTable } from '../contracts/routes.ts';
import { errnoOf, PaasError } from '../errors.ts';

/** Country and subdivisions of an address (`CN`, `CN-31`); none where nobody knows. Never throws. */
export type RegionsOf = (address: string) => readonly string[];

/** Clients come again and again, and reading a record costs more than finding it. */
const maxKnown = 10_000;

/** A database that was checked. */
export interface RegionDatabase {
  bytes: Buffer;
  find: (address: string) => unknown;
  /** `nodes` of two records of `size` bits each, for addresses of IP `version`. */
  layout: { nodes: number; size: number; version: number };
}

/** What changes whenever the file does; never throws. */
export const fileStamp = (path: string): Promise<string> =>
  stat(path).then(
    ({ ino, size, mtimeMs }) => `${ino} ${size} ${mtimeMs}`,
    (error: unknown) => errnoOf(error) ?? 'missing',
  );

/** @throws PaasError not_found, not_allowed, corrupt; the message names the file */
export async function readRegions(path: string): Promise<RegionDatabase> {
  const bytes = await read(path);
  try {
    const reader = new Reader(bytes);
    // Behind its tree stand 16 empty bytes; in one that lost a part of itself, anything else.
    const { searchTreeSize: end, nodeCount: nodes, recordSize: size, ipVersion: version } = reader.metadata;
    if (!bytes.subarray(end, end + 16).equals(Buffer.alloc(16))) throw new Error('a part of it is missing');
    return { bytes, find: (address) => reader.get(address), layout: { nodes, size, version } };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PaasError('corrupt', `The region database ${path} is damaged, or not in MaxMind's format: ${why}`, {
      cause,
    });
  }
}

/** Whether a table has a rule by region at all. */
export const needsRegions = ({ backends }: Pick<RouteTable, 'backends'>): boolean =>
  Object.values(backends).some(({ gray }) =>
    gray?.rules.some(({ all }) => all.some((condition) => condition.kind === 'region')),
  );

/** @throws PaasError as `readRegions` */
export async function openRegions(path: string): Promise<RegionsOf> {
  const { find } = await readRegions(path);
  const known = new Map<string, readonly string[]>();
  return (address) => {
    const present = known.get(address);
    if (present) return present;
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
    let regions: readonly string[] = [];
    try {
      if (isIP(plain) !== 0) regions = codesOf(find(plain));
    } catch {
      // A damaged record, or an IPv6 address in a database of IPv4: nobody knows.
    }
    if (known.size >= maxKnown) known.clear();
    known.set(address, regions);
    return regions;
  };
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'ENOENT') throw new PaasError('not_found', `There is no region database ${path}.`, { cause });
    if (code === 'EACCES')
      throw new PaasError('not_allowed', `The region database ${path} may not be read.`, { cause });
    throw new PaasError('corrupt', `The region database ${path} cannot be read: ${code ?? String(cause)}.`, { cause });
  }
}

/** Out of a record of GeoIP2 City or Country (https://dev.maxmind.com/geoip/docs/databases/city-and-country). */
function codesOf(record: unknown): string[] {
  const country = isoCode(field(record, 'country'));
  if (country === undefined) return [];
  const subdivisions = field(record, 'subdivisions');
  const parts = Array.isArray(subdivisions) ? subdivisions.map(isoCode) : [];
  return [country, ...parts.flatMap((part) => (part === undefined ? [] : [`${country}-${part}`]))];
}

const field = (record: unknown, name: string): unknown =>
  typeof record === 'object' && record !== null ? (record as Record<string, unknown>)[name] : undefined;

function isoCode(place: unknown): string | undefined {
  const code = field(place, 'iso_code');
  return typeof code === 'string' ? code : undefined;
}
