/** The route table on disk: what the router serves after its own restart, with nobody to ask. */
import { readFile } from 'node:fs/promises';
import * as z from 'zod/mini';
import { backend, httpRoute, routeTable, type Backend, type RouteTable } from '../../shared/contracts/routes.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { requireRules } from '../requirements.ts';
import { compileTable, type RouteIndex } from '../table.ts';
import { inSlices } from './slices.ts';

export interface Loaded {
  table: RouteTable;
  index: RouteIndex;
}

/**
 * A table from JSON, route by route and app by app: a large one takes a while.
 * @throws PaasError `bad_request` for text that is no table, or one that contradicts itself
 */
export function* readTable(text: string): Generator<void, Loaded> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new PaasError('bad_request', 'The route table is not JSON.', { cause });
  }
  yield;
  const outline = read(withLists, parsed);
  const table = read(routeTable, { ...outline, http: [], backends: {} });
  for (const [index, route] of outline.http.entries()) {
    table.http.push(read(httpRoute, route, `http.${index}`));
    yield;
  }
  const backends: [string, Backend][] = [];
  for (const [key, value] of Object.entries(outline.backends)) {
    const own = read(backend, value, `backends.${key}`);
    if (own.gray) requireRules(own.app, own.gray.rules);
    backends.push([key, own]);
    yield;
  }
  table.backends = Object.fromEntries(backends);
  yield;
  return { table, index: compileTable(table) };
}

const withLists = z.looseObject({ http: z.array(z.unknown()), backends: z.record(z.string(), z.unknown()) });

/** @param at where in the table the value is */
function read<T extends z.core.$ZodType>(schema: T, value: unknown, at = ''): z.infer<T> {
  const result = z.safeParse(schema, value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = [...(at === '' ? [] : [at]), ...(issue?.path ?? [])].join('.');
  throw new PaasError('bad_request', `The route table is invalid at "${where}": ${issue?.message ?? 'unknown'}`);
}

/**
 * The table of the last run. A damaged file is left where it is and described: the next table replaces it, and until
 * then there is nothing better to serve.
 */
export async function loadTable(path: string): Promise<Loaded | { problem: string } | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    return { problem: `the saved route table cannot be read: ${errnoOf(error) ?? String(error)}` };
  }
  try {
    return await inSlices(readTable(text));
  } catch (error) {
    return { problem: `the saved route table ${path} is damaged (${error instanceof Error ? error.message : ''})` };
  }
}
