import type { Kysely } from 'kysely';
import type { Dialect } from '../open.ts';
import * as first from './0001-first.ts';
import * as canary from './0002-canary.ts';
import * as gray from './0003-gray.ts';
import * as router from './0004-router.ts';

export interface Migration {
  name: string;
  up: (db: Kysely<unknown>, dialect: Dialect) => Promise<void>;
}

/** In order. The number of migrations applied is the schema's version. */
export const migrations: readonly Migration[] = [
  { name: '0001-first', up: first.up },
  { name: '0002-canary', up: canary.up },
  { name: '0003-gray', up: gray.up },
  { name: '0004-router', up: router.up },
];
