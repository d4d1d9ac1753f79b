/** What the hub's messages mean: hosts come and go, instances report, logs are stored, steps and sessions go on. */
import type { AgentMessage, ControlMessage, LogBlock } from '../../shared/contracts/agent.ts';
import type { StepResult } from '../../shared/contracts/steps.ts';
import { version } from '../../shared/version.ts';
import { asPaasError } from '../../shared/errors.ts';
import { readRouterLogId } from '../../shared/router-log.ts';
import type { Control } from '../context.ts';
import { assignmentOf } from './assignments.ts';
import type { HubHandlers } from './hub.ts';
import { applyReport } from './reports.ts';

type Hello = Extract<AgentMessage, { type: 'hello' }>;

const maxOwners = 5000;

export function createHandlers(control: Control): HubHandlers {
  /** Positions that became durable since the last acknowledgement to each host. */
  const acks = new Map<string, Map<string, { instance: string; stream: 'stdout' | 'stderr'; offset: number }>>();
  /** Which host may write an instance's log, as asked before. */
  const owners = new Map<string, string>();

  /** Hosts that may say what routers saw. */
  const routers = new Set<string>();

  return { hello, message, logs, closed };

  async function hello(
    hostId: string,
    { facts, instances, generation, stepResults, steps }: Hello,
  ): Promise<ControlMessage[]> {
    const { db } = control.store;
    const before = await db.selectFrom('hosts').selectAll().where('id', '=', hostId).executeTakeFirst();
    if (!before) throw new Error(`the host ${hostId} is not known any more`);
    const isRouter = (JSON.parse(before.roles) as string[]).includes('router');
    if (isRouter) routers.add(hostId);
    else routers.delete(hostId);
    const alive = before.state !== 'lost' && before.state !== 'deleting';
    await db
      .updateTable('hosts')
      .set({
        facts: JSON.stringify(facts),
        address: facts.address,
        last_seen: Date.now(),
        enrol_hash: null,
      })
      .where('id', '=', hostId)
      .execute();
    await db
      .updateTable('hosts')
      .set({ state: 'ready', message: null })
      .where('id', '=', hostId)
      .where('state', 'not in', ['lost', 'deleting'])
      .execute();
    await applyReport(control, { hostId, generation, instances, full: true });
    remember(instances);
    control.disks.set(hostId, facts.disk);
    for (const result of stepResults) await finished(hostId, result);
    const known = new Set([...steps, ...stepResults.map((result) => result.id)]);
    const messages: ControlMessage[] = [
      {
        type: 'welcome',
        serverVersion: version,
        heartbeatMs: control.settings.timing.heartbeat,
        logs: await positions(
          hostId,
          instances.map(({ id }) => id),
          known,
        ),
      },
      ...stepResults.map((result): ControlMessage => ({ type: 'stepAck', id: result.id })),
    ];
    const assignment = await assignmentOf(control, hostId);
    if (assignment) messages.push({ type: 'assignment', assignment });
    if (isRouter) messages.push({ type: 'table', table: control.routing.tableForRouters() });
    if (alive && before.state !== 'ready') {
      const how = before.state === 'creating' ? 'is ready' : 'is back';
      await control.events.record({
        kind: 'host.ready',
        actor: 'platform',
        target: before.name,
        message: `${before.name} ${how}`,
      });
    }
    // After the welcome is out: builds may be handed to this host then, and what changed while it was made is sent again.
    setImmediate(() => {
      control.assign(hostId);
      control.builds
        .recover(hostId, known)
        .catch((error: unknown) => control.logger.error('recovering builds failed', error));
      control.wake.hosts();
      control.wake.routes();
      control.wake.waiting();
    });
    return messages;
  }

  /** Each takes the results of its own steps. */
  async function finished(hostId: string, result: StepResult): Promise<void> {
    control.routerChecks.finished(hostId, result);
    await control.builds.finished(hostId, result);
  }

  /** Where the logs of a host's instances and builds go on. */
  async function positions(hostId: string, instances: readonly string[], steps: ReadonlySet<string>) {
    const rows = await control.store.db
      .selectFrom('instances')
      .select('id')
      .where('host_id', '=', hostId)
      .where('ended_at', 'is', null)
      .execute();
    const builds = await control.store.db.selectFrom('builds').select('id').where('host_id', '=', hostId).execute();
    const ids = new Set([...instances, ...steps, ...rows.map(({ id }) => id), ...builds.map(({ id }) => id)]);
    const router = routers.has(hostId)
      ? control.logs.positions().filter(({ instance }) => readRouterLogId(instance)?.hostId === hostId)
      : [];
    return [...control.logs.positions([...ids]), ...router];
  }

  async function message(hostId: string, received: Exclude<AgentMessage, { type: 'hello' }>): Promise<void> {
    switch (received.type) {
      case 'report': {
        remember(received.instances);
        control.disks.set(hostId, received.disk);
        await applyReport(control, { hostId, ...received });
        return;
      }
      case 'router': {
        if (!routers.has(hostId)) return;
        if (control.routing.report(hostId, received.status)) control.wake.routes();
        return;
      }
      case 'routerDown': {
        if (routers.has(hostId)) control.routing.down(hostId, received.reason);
        return;
      }
      case 'traffic': {
        if (!routers.has(hostId)) return;
        const watched = control.canaries.apps();
        for (const app of control.traffic.report(hostId, received.traffic)) if (watched.has(app)) control.wake.app(app);
        return;
      }
      case 'stepResult': {
        await finished(hostId, received.result);
        control.hub.send(hostId, { type: 'stepAck', id: received.result.id });
        return;
      }
      case 'sessionTaken':
      case 'sessionOutput':
      case 'sessionExit':
        control.sessions.fromAgent(hostId, received);
    }
  }

  /** Appends in order, but does not wait for the disk: the acknowledgement follows when the bytes are durable. */
  async function logs(hostId: string, header: LogBlock, payload: Buffer): Promise<void> {
    if (!(await mayWrite(hostId, header))) return;
    control.logs.append(header, payload).then(
      (position) => acknowledge(hostId, position),
      (thrown: unknown) => {
        const error = asPaasError(thrown);
        control.logger.error('logs could not be stored; the agent sends them again', error, { hostId });
        control.hub.drop(hostId);
      },
    );
  }

  /** Agents write the logs of what runs on their host, nothing else. */
  async function mayWrite(hostId: string, header: LogBlock): Promise<boolean> {
    const access = readRouterLogId(header.instance);
    if (access || header.source === 'router') {
      const own = header.source === 'router' && access?.hostId === hostId && access.appId === header.appId;
      return (own && routers.has(hostId) && (await appExists(header.appId))) || passOver(hostId, header);
    }
    const key = `${header.instance}/${header.appId}`;
    if (owners.get(key) === hostId) return true;
    const table = header.instance.startsWith('bld_') ? 'builds' : 'instances';
    const row = await control.store.db
      .selectFrom(table)
      .select(['host_id', 'app_id'])
      .where('id', '=', header.instance)
      .executeTakeFirst();
    if (row?.host_id !== hostId || row.app_id !== header.appId || !(await appExists(header.appId)))
      return passOver(hostId, header);
    owners.set(key, hostId);
    // The longest known goes first; one that still writes is looked up again.
    for (const oldest of owners.keys()) {
      if (owners.size <= maxOwners) break;
      owners.delete(oldest);
    }
    return true;
  }

  async function appExists(appId: string): Promise<boolean> {
    const app = await control.store.db.selectFrom('apps').select('id').where('id', '=', appId).executeTakeFirst();
    return app !== undefined;
  }

  /** What is unknown here (a destroyed app) must still be acknowledged, or the agent would keep it for ever. */
  function passOver(hostId: string, { instance, stream, to }: LogBlock): false {
    acknowledge(hostId, { instance, stream, offset: to });
    return false;
  }

  function acknowledge(
    hostId: string,
    position: { instance: string; stream: 'stdout' | 'stderr'; offset: number },
  ): void {
    const waiting = acks.get(hostId);
    if (waiting) {
      waiting.set(`${position.instance}/${position.stream}`, position);
      return;
    }
    acks.set(hostId, new Map([[`${position.instance}/${position.stream}`, position]]));
    setImmediate(() => {
      const batch = acks.get(hostId);
      acks.delete(hostId);
      if (batch) control.hub.send(hostId, { type: 'logsAck', positions: [...batch.values()] });
    });
  }

  function remember(instances: Hello['instances']): void {
    for (const { id, cpu, memoryMb } of instances) control.usage.set(id, { cpu, memoryMb });
  }

  function closed(hostId: string): void {
    const now = Date.now();
    control.store.db
      .updateTable('hosts')
      .set({ last_seen: now })
      .where('id', '=', hostId)
      .execute()
      .catch((error: unknown) => control.logger.error('recording a closed link failed', error));
    control.sessions.hostClosed(hostId);
    control.wake.hosts();
  }
}
