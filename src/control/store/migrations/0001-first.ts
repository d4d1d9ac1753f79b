/** The first schema. Migrations are never edited once released; a change is a new file. */
import { sql, type Kysely, type CreateTableBuilder } from 'kysely';
import type { Dialect } from '../open.ts';

type Columns = Record<string, string>;

/** `text`, `int`, `real`; a trailing `?` allows null. */
function table(db: Kysely<unknown>, name: string, columns: Columns): CreateTableBuilder<string> {
  let builder: CreateTableBuilder<string> = db.schema.createTable(name);
  for (const [column, kind] of Object.entries(columns)) {
    const nullable = kind.endsWith('?');
    const base = nullable ? kind.slice(0, -1) : kind;
    const type = base === 'int' ? 'bigint' : base === 'real' ? 'double precision' : 'text';
    builder = builder.addColumn(column, type, (c) => (nullable ? c : c.notNull()));
  }
  return builder;
}

export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const make = async (name: string, key: string[], columns: Columns) => {
    await table(db, name, columns)
      .addPrimaryKeyConstraint(`${name}_pk`, key as never)
      .execute();
  };
  const index = async (name: string, on: string, columns: string[], unique = false) => {
    let builder = db.schema.createIndex(name).on(on).columns(columns);
    if (unique) builder = builder.unique();
    await builder.execute();
  };

  await make('meta', ['key'], { key: 'text', value: 'text' });
  await make('keys', ['id'], {
    id: 'text',
    principal: 'text',
    role: 'text',
    secret: 'text',
    host_id: 'text?',
    created_at: 'int',
    revoked_at: 'int?',
  });
  await make('nonces', ['key_id', 'nonce'], { key_id: 'text', nonce: 'text', expires_at: 'int' });
  await index('nonces_expiry', 'nonces', ['expires_at']);
  await make('idempotency', ['key_id', 'key'], {
    key_id: 'text',
    key: 'text',
    fingerprint: 'text',
    status: 'int?',
    body: 'text?',
    created_at: 'int',
  });
  await make('apps', ['id'], {
    id: 'text',
    project: 'text',
    environment: 'text',
    name: 'text',
    state: 'text',
    release: 'int?',
    epoch: 'int',
    last_release: 'int',
    config_version: 'int',
    formation: 'text',
    manifest: 'text',
    active_deployment: 'text?',
    created_at: 'int',
  });
  await index('apps_name', 'apps', ['project', 'environment', 'name'], true);
  await make('config_versions', ['app_id', 'version'], {
    app_id: 'text',
    version: 'int',
    values: 'text',
    actor: 'text',
    created_at: 'int',
  });
  await make('images', ['id'], {
    id: 'text',
    project: 'text',
    tree: 'text',
    base_name: 'text',
    base_digest: 'text',
    stack: 'text',
    env: 'text',
    created_at: 'int',
    profile: 'text',
  });
  await make('releases', ['app_id', 'version'], {
    app_id: 'text',
    version: 'int',
    image_id: 'text',
    config_version: 'int',
    processes: 'text',
    description: 'text',
    actor: 'text',
    state: 'text',
    created_at: 'int',
  });
  await make('builds', ['id'], {
    id: 'text',
    app_id: 'text',
    project: 'text',
    cache_key: 'text',
    state: 'text',
    stack: 'text',
    host_id: 'text?',
    step: 'text',
    tree: 'text?',
    error: 'text?',
    attempts: 'int',
    created_at: 'int',
    finished_at: 'int?',
  });
  await index('builds_app', 'builds', ['app_id']);
  await make('build_cache', ['project', 'key'], {
    project: 'text',
    key: 'text',
    tree: 'text',
    created_at: 'int',
    used_at: 'int',
  });
  await make('deployments', ['id'], {
    id: 'text',
    app_id: 'text',
    kind: 'text',
    state: 'text',
    actor: 'text',
    request: 'text',
    release: 'int?',
    build_id: 'text?',
    build: 'text?',
    rollout_id: 'text?',
    changed: 'int',
    error: 'text?',
    created_at: 'int',
    finished_at: 'int?',
  });
  await index('deployments_app', 'deployments', ['app_id', 'created_at']);
  await make('rollouts', ['id'], {
    id: 'text',
    app_id: 'text',
    deployment_id: 'text',
    from_release: 'int?',
    from_epoch: 'int',
    to_release: 'int',
    to_epoch: 'int',
    strategy: 'text',
    max_in_flight: 'int',
    state: 'text',
    waits_for: 'text',
    effects: 'text',
    error: 'text?',
    created_at: 'int',
    finished_at: 'int?',
  });
  await index('rollouts_app', 'rollouts', ['app_id', 'created_at']);
  await make('instances', ['id'], {
    id: 'text',
    app_id: 'text',
    release: 'int',
    epoch: 'int',
    process_type: 'text',
    kind: 'text',
    ordinal: 'int',
    host_id: 'text?',
    desired: 'text',
    drain_version: 'int?',
    drain_at: 'int?',
    memory_mb: 'int',
    cpu: 'real?',
    command: 'text?',
    restart_token: 'text',
    replacing: 'int',
    state: 'text',
    ready: 'int',
    was_healthy: 'int',
    address: 'text?',
    port: 'int?',
    started_at: 'text?',
    restarts: 'int',
    message: 'text?',
    exit: 'text?',
    created_at: 'int',
    ended_at: 'int?',
  });
  await index('instances_app', 'instances', ['app_id', 'ended_at']);
  await index('instances_host', 'instances', ['host_id', 'ended_at']);
  await make('hosts', ['id'], {
    id: 'text',
    name: 'text',
    cluster: 'text',
    cloud: 'text',
    cloud_id: 'text?',
    token: 'text',
    state: 'text',
    roles: 'text',
    draining: 'int',
    address: 'text?',
    cpu: 'real',
    memory_mb: 'int',
    facts: 'text?',
    enrol_hash: 'text?',
    generation: 'int',
    attempts: 'int',
    message: 'text?',
    last_seen: 'int?',
    created_at: 'int',
  });
  await index('hosts_name', 'hosts', ['name'], true);
  await make('clouds', ['name'], { name: 'text', driver: 'text', config: 'text', created_at: 'int' });
  await make('clusters', ['name'], {
    name: 'text',
    cloud: 'text',
    engine: 'text',
    settings: 'text',
    created_at: 'int',
  });
  await make('routes', ['host', 'path'], {
    host: 'text',
    path: 'text',
    app_id: 'text',
    process_type: 'text',
    created_at: 'int',
  });
  await index('routes_app', 'routes', ['app_id']);
  await make('tcp_ports', ['port'], { port: 'int', app_id: 'text', process_type: 'text' });
  await make('bases', ['name'], { name: 'text', digest: 'text', bytes: 'int', created_at: 'int' });
  await make('leases', ['name'], { name: 'text', holder: 'text', token: 'int', expires_at: 'int' });
  await make('cron_runs', ['app_id', 'process_type', 'scheduled_at'], {
    app_id: 'text',
    process_type: 'text',
    scheduled_at: 'int',
    instance_id: 'text?',
  });

  await table(db, 'events', {
    id: 'text',
    ts: 'int',
    actor: 'text',
    kind: 'text',
    app_id: 'text?',
    app: 'text?',
    deployment_id: 'text?',
    target: 'text?',
    message: 'text',
    details: 'text',
  })
    .addColumn('seq', dialect === 'postgres' ? 'bigserial' : 'integer', (c) =>
      dialect === 'postgres' ? c.primaryKey() : c.primaryKey().autoIncrement(),
    )
    .execute();
  await index('events_app', 'events', ['app_id', 'seq']);
  await index('events_deployment', 'events', ['deployment_id', 'seq']);
  await index('events_ts', 'events', ['ts']);
  if (dialect === 'sqlite')
    await sql`create index if not exists instances_live on instances (ended_at) where ended_at is null`.execute(db);
}
