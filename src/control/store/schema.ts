/**
 * The tables, as Kysely sees them. Times are milliseconds since 1970 in integers; `json` columns hold JSON text;
 * flags are 0 or 1: the same in SQLite and PostgreSQL.
 */
import type { Generated } from 'kysely';

export interface Schema {
  meta: { key: string; value: string };
  /** Signing keys of people, machines and agents. `secret` is sealed (secrets.ts). */
  keys: {
    id: string;
    principal: string;
    role: string;
    secret: string;
    host_id: string | null;
    created_at: number;
    revoked_at: number | null;
  };
  nonces: { key_id: string; nonce: string; expires_at: number };
  /** Answers to changes by Idempotency-Key; `status` null while the first one is under way. */
  idempotency: {
    key_id: string;
    key: string;
    fingerprint: string;
    status: number | null;
    body: string | null;
    created_at: number;
  };
  apps: {
    id: string;
    project: string;
    environment: string;
    name: string;
    /** active, stopped, destroying */
    state: string;
    /** The release in force: the one that steady state runs. */
    release: number | null;
    /** Raised by `paas restart`: instances of an older epoch are replaced. */
    epoch: number;
    last_release: number;
    config_version: number;
    /** json: Formation by process type (contracts/api) */
    formation: string;
    /** json: the manifest's counts and config at the last push, to see what changed in it. Config values as hashes. */
    manifest: string;
    active_deployment: string | null;
    created_at: number;
    /** json: GrayState (deploy/gray.ts); null where it has no rules */
    gray: string | null;
    /** json: RouterSettings (deploy/router-settings.ts), of the release in force; null: the routers' defaults */
    router: string | null;
    /** json: {page} while the app is in maintenance, else null */
    maintenance: string | null;
    /** Configuration of its own for the nginx router, or null. */
    nginx: string | null;
  };
  config_versions: { app_id: string; version: number; values: string; actor: string; created_at: number };
  images: {
    id: string;
    project: string;
    tree: string;
    base_name: string;
    base_digest: string;
    stack: string;
    /** json: environment of the stack at run time */
    env: string;
    /** Shell lines of the stack before each command (stacks/port.ts). */
    profile: string;
    created_at: number;
  };
  releases: {
    app_id: string;
    version: number;
    image_id: string;
    config_version: number;
    /** json: ReleaseProcesses (deploy/release.ts) */
    processes: string;
    description: string;
    actor: string;
    /** created, live, failed */
    state: string;
    created_at: number;
    /** json: RouterSettings (deploy/router-settings.ts) that take force with it; null: the routers' defaults */
    router: string | null;
  };
  builds: {
    id: string;
    app_id: string;
    project: string;
    cache_key: string;
    /** queued, running, succeeded, failed, cancelled */
    state: string;
    stack: string;
    host_id: string | null;
    /** json: BuildStep */
    step: string;
    tree: string | null;
    error: string | null;
    attempts: number;
    created_at: number;
    finished_at: number | null;
  };
  build_cache: { project: string; key: string; tree: string; created_at: number; used_at: number };
  deployments: {
    id: string;
    app_id: string;
    kind: string;
    state: string;
    actor: string;
    /** json: what was asked for, sealed as a whole since it may carry config values */
    request: string;
    release: number | null;
    build_id: string | null;
    /** json: {stack, cached, durationMs} */
    build: string | null;
    rollout_id: string | null;
    changed: number;
    error: string | null;
    created_at: number;
    finished_at: number | null;
  };
  rollouts: {
    id: string;
    app_id: string;
    deployment_id: string;
    from_release: number | null;
    from_epoch: number;
    to_release: number;
    to_epoch: number;
    strategy: string;
    max_in_flight: number;
    /** json: Canary (rollout/canary.ts) */
    canary: string | null;
    /** running, paused, cancelling, failing, succeeded, failed, cancelled, superseded */
    state: string;
    waits_for: string;
    /** json: Effects (deploy/effects.ts): what to undo when it fails, and to do when it succeeds */
    effects: string;
    error: string | null;
    created_at: number;
    finished_at: number | null;
  };
  instances: {
    id: string;
    app_id: string;
    release: number;
    epoch: number;
    process_type: string;
    kind: string;
    ordinal: number;
    host_id: string | null;
    /** run, drain (out of the route table, then stop), stop */
    desired: string;
    /** Route table version without it; it may stop once routers have acknowledged that one. */
    drain_version: number | null;
    drain_at: number | null;
    memory_mb: number;
    cpu: number | null;
    /** One-offs and cron runs: the command instead of the release's; json argv or null. */
    command: string | null;
    restart_token: string;
    /** 1: another one takes its place, and then it leaves (`paas restart web.2`). */
    replacing: number;
    /** As the agent reported last. */
    state: string;
    ready: number;
    /** 1 once it was healthy. */
    was_healthy: number;
    address: string | null;
    port: number | null;
    started_at: string | null;
    restarts: number;
    message: string | null;
    /** json: InstanceExit */
    exit: string | null;
    created_at: number;
    ended_at: number | null;
  };
  hosts: {
    id: string;
    name: string;
    cluster: string;
    cloud: string;
    cloud_id: string | null;
    /** Unique token of the intent, put on the host at the cloud, so that it can be found again. */
    token: string;
    /** creating, ready, unreachable, lost, deleting, error */
    state: string;
    /** json: HostRole[] */
    roles: string;
    draining: number;
    address: string | null;
    cpu: number;
    memory_mb: number;
    /** json: HostFacts */
    facts: string | null;
    enrol_hash: string | null;
    generation: number;
    attempts: number;
    message: string | null;
    last_seen: number | null;
    created_at: number;
  };
  /** `config` is sealed: it holds the account's keys. */
  clouds: { name: string; driver: string; config: string; created_at: number };
  clusters: { name: string; cloud: string; engine: string; settings: string; created_at: number };
  /** `https` 1: requests over plain HTTP are sent to https://. */
  routes: {
    host: string;
    path: string;
    app_id: string;
    process_type: string;
    created_at: number;
    https: Generated<number>;
  };
  /** Certificates by the name that they are shown for (`shop.example.com`, `*.example.com`). */
  certificates: {
    host: string;
    /** uploaded, self-signed, acme */
    source: string;
    /** PEM, the leaf first; null while the first one is on its way (acme) */
    chain: string | null;
    /** PEM of the private key, sealed (secrets.ts) with `certificatePlace`. */
    key: string | null;
    not_after: number | null;
    /** acme: when to ask (again) for one. */
    next_at: number | null;
    /** acme: failures since the last success. */
    attempts: number;
    /** Why the last attempt failed, for people. */
    message: string | null;
    /** acme: json {token, answer} while the authority looks for it. */
    challenge: string | null;
    /** acme: the issuance under way, sealed json (certificates/acme/issue.ts), so that another process goes on with it. */
    issuance: string | null;
    created_at: number;
    updated_at: number;
  };
  tcp_ports: { port: number; app_id: string; process_type: string };
  events: {
    seq: Generated<number>;
    id: string;
    ts: number;
    actor: string;
    kind: string;
    app_id: string | null;
    app: string | null;
    deployment_id: string | null;
    target: string | null;
    message: string;
    details: string;
  };
  bases: { name: string; digest: string; bytes: number; created_at: number };
  leases: { name: string; holder: string; token: number; expires_at: number };
  cron_runs: { app_id: string; process_type: string; scheduled_at: number; instance_id: string | null };
}

export type Table = keyof Schema;
export type AppRow = Schema['apps'];
export type ReleaseRow = Schema['releases'];
export type ImageRow = Schema['images'];
export type BuildRow = Schema['builds'];
export type DeploymentRow = Schema['deployments'];
export type RolloutRow = Schema['rollouts'];
export type InstanceRow = Schema['instances'];
export type HostRow = Schema['hosts'];
