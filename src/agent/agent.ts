/**
 * The agent, put together: what each part needs of the others, and what each message does.
 *
 *   link ◄──► assignment ──► supervisor ──► runtimes, keepers
 *     │            └──► trees, bases ◄── steps (builds), sessions
 *     └──► router keeper, log shipper
 */
import { createHash } from 'node:crypto';
import type { AgentMessage, AgentUserData } from '../shared/contracts/agent.ts';
import { agentProtocol } from '../shared/contracts/agent.ts';
import { asPaasError } from '../shared/errors.ts';
import { createAssigner, openAssignment } from './assignment.ts';
import { openBases } from './bases.ts';
import { createCollector } from './collector.ts';
import { createDispatch } from './dispatch.ts';
import { enrol, storedKey } from './enrol.ts';
import { appPath } from './facts-path.ts';
import { hostFacts, withCache } from './facts.ts';
import { openLimits } from './limits/cgroup.ts';
import { createBackoff, wait } from './link-backoff.ts';
import { createControlHttp } from './link-http.ts';
import { createReports } from './link-reports.ts';
import { createLink, type Welcome } from './link.ts';
import { errorFields, type Log } from './log.ts';
import { createLogShipper } from './logs/shipper.ts';
import { startRouter, type RouterHost } from './router.ts';
import { findRuntimes } from './runtimes/registry.ts';
import { createSessions } from './session.ts';
import type { DataDir } from './state.ts';
import { BuildCache } from './steps/build-cache.ts';
import { BuildLogs } from './steps/build-logs.ts';
import { createBuildDriver } from './steps/build.ts';
import { StepJournal } from './steps/journal.ts';
import { createRouterCheckDriver } from './steps/router-check.ts';
import { createStepRunner } from './steps/runner.ts';
import { detectTools } from './steps/tools.ts';
import { unpackTar } from './steps/unpack.ts';
import { createSupervisor } from './supervisor/index.ts';
import { openTrees } from './trees/index.ts';

export interface AgentOptions {
  dir: DataDir;
  userData: AgentUserData;
  name: string;
  address: string;
  cpu: number | undefined;
  memoryMb: number | undefined;
  env: NodeJS.ProcessEnv;
  /** Command line of the router program. */
  routerProgram: readonly string[];
  log: Log;
}

/** Runs the agent until `signal` is aborted. Instances and the router go on without it. */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { dir, userData, log } = options;
  const path = appPath(options.env['PATH'], process.getuid?.() === 0);
  const detecting = withCache(dir.facts, (cached) => detectTools(path, cached));
  detecting.catch(() => undefined);
  const runtimes = await findRuntimes();

  const http = createControlHttp(userData.controlUrl, userData.ca);
  const trees = openTrees(dir.trees, http, log);
  const bases = openBases({ directory: dir.bases, http, log, unpack: unpackTar });
  const stored = openAssignment(dir.assignment, log);
  const cache = new BuildCache(dir.caches, log);

  const shipper = createLogShipper({
    send: (header, payload) => link.sendBlock(header, payload),
    delivered(instance) {
      if (buildLogs.delivered(instance) || router?.delivered(instance) === true) return;
      supervisor.logsDone(instance);
      reports.soon(true);
    },
    failed: (error) => log.warn('space of delivered logs cannot be given back', errorFields(error)),
  });
  const buildLogs = new BuildLogs(dir.builds, shipper, log);
  const supervisor = createSupervisor({
    directory: dir.instances,
    address: options.address,
    trees,
    bases,
    runtimes,
    log,
    logs: shipper,
  });
  const { tools } = await detecting;
  const build = createBuildDriver({
    directory: dir.builds,
    scriptDirectory: dir.builds,
    hostName: options.name,
    env: options.env,
    path,
    tools,
    http,
    trees,
    bases,
    runtimes,
    cache,
    logs: buildLogs,
    log,
    limits: openLimits(hostGroup(dir.builds)),
  });
  const steps = createStepRunner({
    drivers: { build, 'router-check': createRouterCheckDriver(() => router) },
    journal: new StepJournal(dir.steps, log),
    log,
    hostName: options.name,
    onResult: (result) => void link.send({ type: 'stepResult', result }),
  });
  const collector = createCollector({ assignment: () => stored.current(), trees, bases, cache, log });

  const facts = () =>
    hostFacts({
      dataRoot: dir.root,
      address: options.address,
      cpu: options.cpu,
      memoryMb: options.memoryMb,
      tools,
      runtimes: runtimes.available,
      notices: [...runtimes.notices, ...supervisor.notices],
      bases: bases.ready(),
    });
  const hello = (): AgentMessage => ({
    type: 'hello',
    protocol: agentProtocol,
    hostId: userData.hostId,
    facts: facts(),
    generation: stored.current().generation,
    instances: supervisor.statuses(),
    stepResults: steps.results(),
    steps: steps.running(),
  });

  const onUp = (welcome: Welcome) => {
    shipper.resume(welcome.logs);
    reports.start(welcome.heartbeatMs);
    router?.linkUp();
    // What changed between the hello and the welcome was said nowhere.
    reports.soon(true);
    for (const result of steps.results()) link.send({ type: 'stepResult', result });
  };
  const onDown = () => {
    shipper.pause();
    router?.linkDown();
    reports.stop();
    sessions.endAll();
  };
  const local = isLoopback(userData.controlUrl);
  // A server on this machine costs nothing to ask, and is missed the more.
  const backoff = createBackoff(local ? 50 : 200, local ? 1000 : 10_000);
  const link = createLink({
    http,
    backoff,
    log,
    handlers: { hello, onUp, onDown, onMessage: (message) => carryOut(message) },
  });
  const reports = createReports({
    dataRoot: dir.root,
    statuses: () => supervisor.statuses(),
    generation: () => stored.current().generation,
    send: (message) => link.send(message),
  });
  const sessions = createSessions({ link, log, targets: sessionTargets(supervisor) });
  supervisor.onChange((changed) => reports.changed(changed));

  let router: RouterHost | undefined;
  const assigner = createAssigner({
    stored,
    supervisor,
    changed() {
      collector.soon();
      reports.soon(false);
    },
    log,
  });
  const carryOut = createDispatch({
    assigner,
    steps,
    shipper,
    sessions,
    reports,
    log,
    router: () => router,
  });

  try {
    await supervisor.recover();
    // With nothing on disk that can be read, what runs goes on until the control plane has said what shall.
    if (!stored.damaged) supervisor.apply(stored.current().instances);
    await steps.recover();
    buildLogs.recover();
    router = startRouter(userData, {
      directory: dir.router,
      program: options.routerProgram,
      log,
      shipper,
      send: (message) => link.send(message),
    });
    log.info('agent ready', { hostId: userData.hostId, instances: stored.current().instances.length });
    const key =
      storedKey(dir.key, userData) ??
      (await enrol({ http, keyPath: dir.key, userData, log, backoff, wait: (ms) => wait(ms, signal) }));
    http.setKey(key);
    await link.run(signal);
  } catch (error) {
    if (!signal.aborted) throw asPaasError(error);
  } finally {
    sessions.endAll();
    assigner.close();
    collector.close();
    reports.stop();
    await steps.close();
    await router?.close();
    await supervisor.close();
    shipper.close();
    trees.close();
    http.close();
  }
}

function sessionTargets(supervisor: ReturnType<typeof createSupervisor>) {
  return {
    exec: (instance: string, argv: readonly string[]) => supervisor.exec(instance, argv),
    run: async (spec: Parameters<typeof supervisor.oneOff>[0], argv: readonly string[]) => {
      const fresh = await supervisor.oneOff(spec);
      return { command: fresh.command(argv), end: () => fresh.finish() };
    },
  };
}

/** Several agents may share a machine: their cgroups are told apart by where their data is. */
function hostGroup(directory: string): string {
  return createHash('sha256').update(directory).digest('hex').slice(0, 12);
}

export function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
