/** Values as Lua literals, on one line of printable ASCII: how records get into nginx, whose Lua has no JSON. Pure. */

const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** undefined members are left out; null is not known to Lua tables and refused by the type. */
export type Literal = string | number | boolean | undefined | readonly Literal[] | { readonly [name: string]: Literal };

/** Lua's own reader gives the value back (Lua 5.1 reference manual, 2.1); strings become their UTF-8 bytes. */
export function luaLiteral(value: Literal): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === undefined) return 'nil';
  if (isList(value)) return `{${value.map(luaLiteral).join(',')}}`;
  let text = '';
  for (const [name, member] of Object.entries(value)) {
    if (member !== undefined) text += `[${quote(name)}]=${luaLiteral(member)},`;
  }
  return `{${text}}`;
}

const isList = (value: Literal): value is readonly Literal[] => Array.isArray(value);

function quote(text: string): string {
  if (plain.test(text)) return `"${text}"`;
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  const escape = (char: string): string => `\\${String(char.charCodeAt(0)).padStart(3, '0')}`;
  return `"${bytes.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, escape)}"`;
}
