/** What the agent says of its instances: changes at once (gathered for a moment), everything at every heartbeat. */
import type { AgentMessage } from '../shared/contracts/agent.ts';
import type { InstanceStatus } from '../shared/contracts/instances.ts';
import { diskSpace } from './facts.ts';

const gatherMs = 10;

export interface Reports {
  /** These changed. */
  changed(statuses: readonly InstanceStatus[]): void;
  /** Something is to be said soon: a new generation, or (`full`) that an instance is gone. */
  soon(full: boolean): void;
  /** The link is up: report at this interval until `stop`. */
  start(heartbeatMs: number): void;
  stop(): void;
}

export function createReports(options: {
  dataRoot: string;
  statuses(): InstanceStatus[];
  generation(): number;
  send(message: AgentMessage): boolean;
}): Reports {
  const waiting = new Map<string, InstanceStatus>();
  let full = false;
  let timer: NodeJS.Timeout | undefined;
  let heartbeat: NodeJS.Timeout | undefined;

  const report = () => {
    clearTimeout(timer);
    timer = undefined;
    // Of what is gone by now, the end is still to be told.
    if (full) for (const status of options.statuses()) waiting.set(status.id, status);
    const instances = [...waiting.values()];
    const message: AgentMessage = {
      type: 'report',
      generation: options.generation(),
      instances,
      full,
      disk: diskSpace(options.dataRoot),
    };
    waiting.clear();
    full = false;
    options.send(message);
  };
  const soon = () => (timer ??= setTimeout(report, gatherMs));

  return {
    changed(statuses) {
      // Without a link nothing is kept: the next hello says everything.
      if (!heartbeat) return;
      for (const status of statuses) waiting.set(status.id, status);
      soon();
    },
    soon(all) {
      if (!heartbeat) return;
      full ||= all;
      soon();
    },
    start(heartbeatMs) {
      clearInterval(heartbeat);
      heartbeat = setInterval(
        () => {
          full = true;
          report();
        },
        Math.max(heartbeatMs, 100),
      );
    },
    stop() {
      clearTimeout(timer);
      clearInterval(heartbeat);
      timer = heartbeat = undefined;
      waiting.clear();
      full = false;
    },
  };
}
