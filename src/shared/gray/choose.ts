/** Which release a request goes to, by an app's gray rules. Pure; the same in routers and in `paas gray test`. */
import { BlockList, isIPv6 } from 'node:net';
import type { Condition, GrayRule } from '../contracts/routes.ts';
import { maxSearched, readPattern } from './pattern.ts';
import { placeIn, shareKeys, shares } from './sticky.ts';

/** What rules look at. Each is asked for only when a rule needs it. */
export interface Asker {
  /** The client's address. */
  readonly address: string;
  /** A header's value by its name in lower case; undefined when it was not sent. */
  header(name: string): string | undefined;
  cookie(name: string): string | undefined;
  /** Where the client is: its country and its subdivisions (`CN`, `CN-31`); none where nobody knows. */
  regions(): readonly string[];
  /** The client's share (sticky.ts). */
  share(): number;
}

export type Choose = (asker: Asker) => { release: number; rule: number } | null;

/** Makes rules ready for use. The choice: the first rule that holds and its release; null when none does. */
export function compileRules(rules: readonly GrayRule[]): Choose {
  const compiled = rules.map(({ release, all }) => ({
    release,
    all: all.map((condition) => compile(condition, release)),
  }));
  return (asker) => {
    for (const [rule, { release, all }] of compiled.entries()) {
      if (all.every((holds) => holds(asker))) return { release, rule };
    }
    return null;
  };
}

function compile(condition: Condition, release: number): (asker: Asker) => boolean {
  switch (condition.kind) {
    case 'cookie':
      return textTest(condition, (asker) => asker.cookie(condition.name));
    case 'header':
      return textTest(condition, (asker) => asker.header(condition.name));
    case 'device':
      return textTest(condition, (asker) => asker.header('user-agent'));
    case 'ip': {
      const list = rangeOf(condition.cidr);
      return ({ address }) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
    }
    case 'region':
      return (asker) => asker.regions().includes(condition.region);
    case 'percent': {
      const below = Math.round((condition.percent * shares) / 100);
      const keys = shareKeys(release);
      return (asker) => below > 0 && placeIn(asker.share(), keys) < below;
    }
  }
}

function textTest(
  { op, text }: { op: 'is' | 'matches'; text: string },
  read: (asker: Asker) => string | undefined,
): (asker: Asker) => boolean {
  if (op === 'is') return (asker) => read(asker) === text;
  const pattern = readPattern(text);
  return (asker) => {
    const value = read(asker);
    return value !== undefined && pattern.test(value.slice(0, maxSearched));
  };
}

function rangeOf(cidr: string): BlockList {
  const [address = '', bits] = cidr.split('/');
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  list.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family);
  return list;
}
