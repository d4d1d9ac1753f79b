/** Rows of the store with everything filled in, for tests that care about a few columns. */
import type { AppRow, DeploymentRow, HostRow, InstanceRow } from '../../src/control/store/schema.ts';

export const hostRow = (id: string, change: Partial<HostRow> = {}): HostRow => ({
  ...{ id, name: `name-${id}`, cluster: 'main', cloud: 'test', cloud_id: `cloud-${id}`, token: `token-${id}` },
  ...{ state: 'ready', roles: '["compute","build"]', draining: 0, address: '127.0.0.1', cpu: 2, memory_mb: 4096 },
  ...{ facts: null, enrol_hash: null, generation: 0, attempts: 1, message: null, last_seen: null, created_at: 1000 },
  ...change,
});

export const appRow = (id: string, change: Partial<AppRow> = {}): AppRow => ({
  ...{ id, project: 'default', environment: 'dev', name: `name-${id}`, state: 'active', release: null, epoch: 0 },
  ...{ last_release: 0, config_version: 0, formation: '{}', active_deployment: null, gray: null, created_at: 1000 },
  ...{ router: null, maintenance: null, nginx: null },
  ...{ manifest: '{"processes":{},"config":{},"routes":[]}' },
  ...change,
});

export const instanceRow = (id: string, change: Partial<InstanceRow> = {}): InstanceRow => ({
  ...{ id, app_id: 'app_1', release: 1, epoch: 0, process_type: 'web', kind: 'web', ordinal: 1, host_id: 'a' },
  ...{ desired: 'run', drain_version: null, drain_at: null, memory_mb: 512, cpu: null, command: null },
  ...{
    restart_token: '',
    replacing: 0,
    state: 'healthy',
    ready: 1,
    was_healthy: 1,
    address: '127.0.0.1',
    port: 20_001,
  },
  ...{ started_at: null, restarts: 0, message: null, exit: null, created_at: 1000, ended_at: null },
  ...change,
});

export const deploymentRow = (id: string, change: Partial<DeploymentRow> = {}): DeploymentRow => ({
  ...{ id, app_id: 'app_1', kind: 'push', state: 'building', actor: 'key:test', request: '', release: null },
  ...{ build_id: null, build: null, rollout_id: null, changed: 1, error: null, created_at: 1000, finished_at: null },
  ...change,
});
