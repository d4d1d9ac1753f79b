/** The table of commands. One file a verb; only the one that is called is loaded. A test keeps table and files equal. */
import type { Command } from './command/define.ts';

type Load = () => Promise<{ default: Command }>;

/** In the order of the help. */
export const groups = {
  'This machine': {
    up: () => import('./commands/up.ts'),
    down: () => import('./commands/down.ts'),
    status: () => import('./commands/status.ts'),
  },
  Apps: {
    init: () => import('./commands/init.ts'),
    push: () => import('./commands/push.ts'),
    apps: () => import('./commands/apps.ts'),
    app: () => import('./commands/app.ts'),
    open: () => import('./commands/open.ts'),
    destroy: () => import('./commands/destroy.ts'),
  },
  Instances: {
    ps: () => import('./commands/ps.ts'),
    scale: () => import('./commands/scale.ts'),
    restart: () => import('./commands/restart.ts'),
    stop: () => import('./commands/stop.ts'),
    start: () => import('./commands/start.ts'),
    run: () => import('./commands/run.ts'),
    exec: () => import('./commands/exec.ts'),
  },
  'What happens': {
    logs: () => import('./commands/logs.ts'),
    events: () => import('./commands/events.ts'),
  },
  'Config, routes, releases': {
    config: () => import('./commands/config.ts'),
    'config get': () => import('./commands/config/get.ts'),
    'config set': () => import('./commands/config/set.ts'),
    'config unset': () => import('./commands/config/unset.ts'),
    routes: () => import('./commands/routes.ts'),
    'routes add': () => import('./commands/routes/add.ts'),
    'routes remove': () => import('./commands/routes/remove.ts'),
    'routes nginx': () => import('./commands/routes/nginx.ts'),
    maintenance: () => import('./commands/maintenance.ts'),
    'maintenance on': () => import('./commands/maintenance/on.ts'),
    'maintenance off': () => import('./commands/maintenance/off.ts'),
    certs: () => import('./commands/certs.ts'),
    'certs add': () => import('./commands/certs/add.ts'),
    'certs remove': () => import('./commands/certs/remove.ts'),
    releases: () => import('./commands/releases.ts'),
    rollback: () => import('./commands/rollback.ts'),
    rollout: () => import('./commands/rollout.ts'),
    'rollout status': () => import('./commands/rollout/status.ts'),
    'rollout pause': () => import('./commands/rollout/pause.ts'),
    'rollout continue': () => import('./commands/rollout/continue.ts'),
    'rollout cancel': () => import('./commands/rollout/cancel.ts'),
    gray: () => import('./commands/gray.ts'),
    'gray add': () => import('./commands/gray/add.ts'),
    'gray remove': () => import('./commands/gray/remove.ts'),
    'gray test': () => import('./commands/gray/test.ts'),
  },
  'The platform': {
    login: () => import('./commands/login.ts'),
    logout: () => import('./commands/logout.ts'),
    whoami: () => import('./commands/whoami.ts'),
    target: () => import('./commands/target.ts'),
    hosts: () => import('./commands/hosts.ts'),
    'hosts create': () => import('./commands/hosts/create.ts'),
    'hosts drain': () => import('./commands/hosts/drain.ts'),
    'hosts remove': () => import('./commands/hosts/remove.ts'),
    clouds: () => import('./commands/clouds.ts'),
    'clouds add': () => import('./commands/clouds/add.ts'),
    'clouds test': () => import('./commands/clouds/test.ts'),
    clusters: () => import('./commands/clusters.ts'),
    bases: () => import('./commands/bases.ts'),
    'bases add': () => import('./commands/bases/add.ts'),
  },
} satisfies Record<string, Record<string, Load>>;

export const commands: Readonly<Record<string, Load>> = Object.assign({}, ...Object.values(groups)) as Record<
  string,
  Load
>;

/** First words of commands with two, and what they are about. */
export const topics: Readonly<Record<string, string>> = {
  config: "an app's environment variables",
  routes: "an app's addresses",
  certs: 'certificates for TLS',
  rollout: 'a change that is under way',
  maintenance: 'a page instead of an app',
  gray: 'which requests go to which release',
  hosts: 'machines',
  clouds: 'cloud accounts',
  bases: 'base images',
};
