/** What was measured, beside its floor and its aim: a JSON line each on standard output, a table at the end. */

/** `more`: at most so much above the floor; `ratio`: value / floor; `value`: the value itself. */
export type Aim = { more: number } | { ratioMax: number } | { ratioMin: number } | { max: number } | { min: number };

export interface Row {
  name: string;
  value: number | null;
  unit: string;
  floor: number | null;
  floorWhat: string;
  ratio: number | null;
  aim: string;
  /** null: not measured, see `note`. */
  ok: boolean | null;
  /** How many measurements the median is of. */
  runs: number;
  note?: string;
}

export interface Measured {
  name: string;
  unit: string;
  /** The row says their median. */
  values: readonly number[];
  /** Of the floor, in the same unit; none where the aim stands by itself. */
  floors?: readonly number[];
  floorWhat?: string;
  aim: Aim;
  note?: string;
}

const rows: Row[] = [];

export function report(measured: Measured): void {
  const { name, unit, values, floors, floorWhat = '', aim, note } = measured;
  const value = median(values);
  const floor = floors === undefined ? null : median(floors);
  print({
    name,
    value: rounded(value),
    unit,
    floor: floor === null ? null : rounded(floor),
    floorWhat,
    ratio: floor === null || floor === 0 ? null : rounded(value / floor),
    aim: aimText(aim, unit),
    ok: holds(aim, value, floor),
    runs: values.length,
    ...(note === undefined ? {} : { note }),
  });
}

/** A row that could not be measured here. */
export function reportMissing(name: string, aim: Aim, unit: string, note: string): void {
  print({
    name,
    value: null,
    unit,
    floor: null,
    floorWhat: '',
    ratio: null,
    aim: aimText(aim, unit),
    ok: null,
    runs: 0,
    note,
  });
}

function print(row: Row): void {
  rows.push(row);
  process.stdout.write(`${JSON.stringify(row)}\n`);
}

/** What is going on, for whoever watches. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function holds(aim: Aim, value: number, floor: number | null): boolean {
  if ('max' in aim) return value <= aim.max;
  if ('min' in aim) return value >= aim.min;
  if (floor === null) throw new Error('this aim needs a floor');
  if ('more' in aim) return value - floor <= aim.more;
  return 'ratioMax' in aim ? value / floor <= aim.ratioMax : value / floor >= aim.ratioMin;
}

function aimText(aim: Aim, unit: string): string {
  if ('max' in aim) return `<= ${aim.max} ${unit}`;
  if ('min' in aim) return `>= ${aim.min} ${unit}`;
  if ('more' in aim) return `<= floor + ${aim.more} ${unit}`;
  return 'ratioMax' in aim ? `<= ${aim.ratioMax}x` : `>= ${aim.ratioMin}x`;
}

export function summary(): string {
  const cells = rows.map((row) => [
    { true: 'ok', false: 'MISSED', null: '-' }[String(row.ok) as 'true' | 'false' | 'null'],
    row.name,
    row.value === null ? '' : `${row.value} ${row.unit}`,
    row.floor === null ? '' : `${row.floor} (${row.floorWhat})`,
    row.ratio === null ? '' : `${row.ratio}x`,
    row.aim,
    row.note ?? '',
  ]);
  const table = [['', 'what', 'value', 'floor', 'ratio', 'aim', ''], ...cells];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  return table
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The smallest value that at least the fraction `q` of all does not exceed; for a median of an even number, the mean. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) throw new Error('nothing was measured');
  const sorted = [...values].sort((a, b) => a - b);
  if (q === 0.5 && sorted.length % 2 === 0) return (sorted[sorted.length / 2 - 1]! + sorted[sorted.length / 2]!) / 2;
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!;
}

/** Four digits are all that a measurement like these has. */
const rounded = (value: number): number => (Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4)));
