import type { Engine } from '../engines/port.ts';
import type { BlobStore } from './blobs/port.ts';
import type { LogStore } from './logs/port.ts';
import type { HostReconciler } from './reconcile/hosts.ts';
import type { Sessions } from './sessions/sessions.ts';
import type { Events } from './events/events.ts';
import type { Disks, Usage } from './agents/reports.ts';
import type { Hub } from './agents/hub.ts';
import type { RouterChecks } from './agents/router-checks.ts';
import type { Routing } from './reconcile/routing.ts';
import type { Sealer } from './secrets.ts';
import type { Settings } from './settings.ts';
import type { Stack } from '../stacks/port.ts';
import type { InstanceRow } from './store/schema.ts';
import type { Serial } from '../shared/serial.ts';
import type { Store } from './store/open.ts';
import type { CanaryWindows } from './traffic/windows.ts';
import type { Traffic } from './traffic/traffic.ts';
import type { Wake } from './reconcile/wake.ts';
import type { Clouds } from './clouds.ts';
import type { Builds } from './builds/builds.ts';
import type { Logger } from './logger.ts';

/** What the parts of the control plane share. Made once in main.ts. */
export interface Control {
  settings: Settings;
  serverId: string;
  startedAt: number;
  /** How agents reach this server; known once it listens. */
  url: () => string;
  store: Store;
  events: Events;
  sealer: Sealer;
  blobs: BlobStore;
  logs: LogStore;
  hub: Hub;
  engine: Engine;
  /** Whoever places instances does it in here, one after the other. */
  placing: Serial;
  routing: Routing;
  wake: Wake;
  clouds: Clouds;
  hosts: HostReconciler;
  sessions: Sessions;
  builds: Builds;
  routerChecks: RouterChecks;
  stacks: readonly Stack[];
  logger: Logger;
  /** Measurements of agents, in memory only. */
  usage: Usage;
  disks: Disks;
  traffic: Traffic;
  canaries: CanaryWindows;
  /** Places a one-off that waits, if a host has room. */
  placeOnce: (row: InstanceRow) => Promise<boolean>;
  diskWarnings: () => Promise<string[]>;
  /** Hands a host's agent its present assignment, if it is connected. */
  assign: (hostId: string) => void;
  /** A line of the platform's own in an app's log. */
  say: (appId: string, instance: string, text: string) => void;
}
