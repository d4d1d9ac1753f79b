/** Events: what the platform did and who asked for it. Durable in the store; live to those who listen. */
import { newId } from '../../shared/ids.ts';
import type { EventRow } from '../../shared/contracts/api.ts';
import type { Db, Store, Trx } from '../store/open.ts';
import type { Schema } from '../store/schema.ts';
import type { Selectable } from 'kysely';

export interface NewEvent {
  /** `app.push`, `instance.healthy`, `host.created`, … */
  kind: string;
  /** Principal, or `platform`. */
  actor: string;
  message: string;
  app?: { id: string; name: string } | undefined;
  deployment?: string | undefined;
  target?: string | undefined;
  /** Never a secret: events are printed and kept. */
  details?: Record<string, unknown> | undefined;
}

export interface StoredEvent extends EventRow {
  seq: number;
  appId: string | null;
  deploymentId: string | null;
}

export interface EventFilter {
  appId?: string | undefined;
  deploymentId?: string | undefined;
  afterSeq?: number | undefined;
  limit?: number | undefined;
}

type Listener = (event: StoredEvent) => void;

export class Events {
  readonly #store: Store;
  readonly #listeners = new Set<Listener>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Records events; with `trx` they are part of that transaction and must be `announce`d after it. */
  async record(event: NewEvent, trx?: Trx): Promise<StoredEvent> {
    const db: Db | Trx = trx ?? this.#store.db;
    const row = await db
      .insertInto('events')
      .values({
        id: newId('evt'),
        ts: Date.now(),
        actor: event.actor,
        kind: event.kind,
        app_id: event.app?.id ?? null,
        app: event.app?.name ?? null,
        deployment_id: event.deployment ?? null,
        target: event.target ?? null,
        message: event.message,
        details: JSON.stringify(event.details ?? {}),
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    const stored = present(row);
    if (!trx) this.announce(stored);
    return stored;
  }

  announce(...events: StoredEvent[]): void {
    for (const event of events) for (const listener of this.#listeners) listener(event);
  }

  /** Live events of this process. The listener must not block. Returns the way to stop. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The last `limit` (default 100) events after `afterSeq`, oldest first. */
  async list(filter: EventFilter): Promise<StoredEvent[]> {
    let query = this.#store.db.selectFrom('events').selectAll();
    if (filter.appId !== undefined) query = query.where('app_id', '=', filter.appId);
    if (filter.deploymentId !== undefined) query = query.where('deployment_id', '=', filter.deploymentId);
    if (filter.afterSeq !== undefined) query = query.where('seq', '>', filter.afterSeq);
    const rows = await query
      .orderBy('seq', filter.afterSeq === undefined ? 'desc' : 'asc')
      .limit(filter.limit ?? 100)
      .execute();
    if (filter.afterSeq === undefined) rows.reverse();
    return rows.map(present);
  }

  /** Drops events older than `maxAgeMs` and all but the newest `maxCount`. */
  async prune(maxAgeMs: number, maxCount: number, now = Date.now()): Promise<void> {
    const newest = await this.#store.db
      .selectFrom('events')
      .select('seq')
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst();
    const floor = (newest?.seq ?? 0) - maxCount;
    await this.#store.db
      .deleteFrom('events')
      .where((eb) => eb.or([eb('ts', '<', now - maxAgeMs), eb('seq', '<=', floor)]))
      .execute();
  }
}

function present(row: Selectable<Schema['events']>): StoredEvent {
  return {
    ts: new Date(row.ts).toISOString(),
    id: row.id,
    actor: row.actor,
    kind: row.kind,
    app: row.app,
    target: row.target,
    message: row.message,
    details: JSON.parse(row.details) as Record<string, unknown>,
    seq: row.seq,
    appId: row.app_id,
    deploymentId: row.deployment_id,
  };
}

/** An event as scripts see it. */
export function publicEvent(event: StoredEvent): EventRow {
  const { ts, id, actor, kind, app, target, message, details } = event;
  return { ts, id, actor, kind, app, target, message, details };
}
