/** Colour for terminals, by the escape sequences of ECMA-48. */
export type Paint = (text: string) => string;

export interface Style {
  bold: Paint;
  dim: Paint;
  red: Paint;
  green: Paint;
  yellow: Paint;
  cyan: Paint;
  /** One of a few colours, always the same for the same name. */
  named: (name: string, text: string) => string;
}

const none: Paint = (text) => text;
const sgr =
  (on: number, off: number): Paint =>
  (text) =>
    text === '' ? text : `\u001b[${on}m${text}\u001b[${off}m`;

/** Told apart on dark and on light backgrounds; red stays for errors. */
const palette = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

export const plain: Style = {
  bold: none,
  dim: none,
  red: none,
  green: none,
  yellow: none,
  cyan: none,
  named: (_, text) => text,
};

export const coloured: Style = {
  bold: sgr(1, 22),
  dim: sgr(2, 22),
  red: sgr(31, 39),
  green: sgr(32, 39),
  yellow: sgr(33, 39),
  cyan: sgr(36, 39),
  named: (name, text) => {
    let sum = 0;
    for (let i = 0; i < name.length; i++) sum = (sum * 31 + name.charCodeAt(i)) >>> 0;
    return sgr(palette[sum % palette.length]!, 39)(text);
  },
};

/** NO_COLOR (no-color.org), `PAAS_COLOR=0` and `CI=true` turn colour and moving progress off. */
export function mayColour(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  if (stream.isTTY !== true) return false;
  if (env['NO_COLOR'] || env['PAAS_COLOR'] === '0' || env['TERM'] === 'dumb') return false;
  return env['CI'] !== 'true' && env['CI'] !== '1';
}
