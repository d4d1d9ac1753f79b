/** Gray rules as people write them: `cookie:beta=1`, `header:X-Team=qa and percent:50`, `device:~Mi ?Note`. */
import { isIP } from 'node:net';
import type { Condition } from '../contracts/routes.ts';
import { PaasError } from '../errors.ts';
import { readPattern } from './pattern.ts';

const hint =
  'Write cookie:NAME=VALUE, header:NAME=VALUE, device:~EXPRESSION, ip:10.2.0.0/16, region:CN-31 or percent:5, joined by ` and `; ' +
  '`~` instead of `=` searches for a regular expression.';
const fieldName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/;
const maxConditions = 10;

/** @throws PaasError `usage` that says which condition is wrong and why */
export function parseConditions(text: string): Condition[] {
  const parts = text.split(/ +and +/i).map((part) => part.trim());
  if (parts.length > maxConditions) {
    throw new PaasError('usage', `A rule may have at most ${maxConditions} conditions.`, { hint });
  }
  return parts.map(parseCondition);
}

function parseCondition(text: string): Condition {
  const refuse = (why: string): never => {
    throw new PaasError('usage', `\`${text}\` is no condition: ${why}.`, { hint });
  };
  const colon = text.indexOf(':');
  if (colon < 0) refuse('it does not say of what');
  const kind = text.slice(0, colon);
  const rest = text.slice(colon + 1);
  switch (kind) {
    case 'cookie':
    case 'header': {
      const found = /^([^=~]*)([=~])(.*)$/s.exec(rest);
      if (!found) return refuse(`it has neither \`=\` nor \`~\` behind the ${kind}'s name`);
      const name = found[1]!;
      if (!fieldName.test(name)) refuse(`\`${name}\` cannot be the name of a ${kind}`);
      const wanted = textTest(found[2] === '~', found[3]!, refuse);
      return { kind, name: kind === 'header' ? name.toLowerCase() : name, ...wanted };
    }
    case 'device':
      return { kind, ...textTest(rest.startsWith('~'), rest.replace(/^[~=]/, ''), refuse) };
    case 'ip':
      if (!isRange(rest)) refuse('it is neither an address nor a range such as 10.2.0.0/16');
      return { kind, cidr: rest };
    case 'region':
      if (!/^[A-Z]{2}(-[A-Z0-9]{1,3})?$/.test(rest))
        refuse('it is no country or region such as CN or CN-31 (ISO 3166)');
      return { kind, region: rest };
    case 'percent': {
      const percent = Number(rest);
      if (!/^\d{1,3}(\.\d{1,2})?$/.test(rest) || percent > 100) refuse('it is no number from 0 to 100');
      return { kind, percent };
    }
    default:
      return refuse(`\`${kind}\` is not known`);
  }
}

function textTest(isPattern: boolean, text: string, refuse: (why: string) => never) {
  if (text === '') refuse('the text to compare with is empty');
  if (text.length > 200) refuse('the text to compare with is longer than 200 characters');
  if (!isPattern) return { op: 'is' as const, text };
  readPattern(text);
  return { op: 'matches' as const, text };
}

function isRange(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

/** The form that `parseConditions` reads back. */
export function formatConditions(all: readonly Condition[]): string {
  return all.map(formatCondition).join(' and ');
}

function formatCondition(condition: Condition): string {
  switch (condition.kind) {
    case 'cookie':
    case 'header':
      return `${condition.kind}:${condition.name}${condition.op === 'is' ? '=' : '~'}${condition.text}`;
    case 'device':
      return `device:${condition.op === 'is' ? '' : '~'}${condition.text}`;
    case 'ip':
      return `ip:${condition.cidr}`;
    case 'region':
      return `region:${condition.region}`;
    case 'percent':
      return `percent:${condition.percent}`;
  }
}
