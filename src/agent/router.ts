/**
 * Keeps the router of a host with the role `router`: gives it tables, watches that it lives, and says what it is doing.
 *
 *   starting ──► running ──(observe fails)──► starting …      waits between attempts grow to 10 s
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentMessage, AgentUserData } from '../shared/contracts/agent.ts';
import type { RouterStatus, RouteTable } from '../shared/contracts/routes.ts';
import type { Router } from '../router/port.ts';
import { createRouter } from '../router/registry.ts';
import { PaasError } from '../shared/errors.ts';
import { createBackoff } from './link-backoff.ts';
import { errorFields, type Log } from './log.ts';
import type { LogShipper } from './logs/shipper.ts';
import { shipRouterLogs } from './router-logs.ts';
import { watchTraffic } from './router-traffic.ts';
import { runProgram, spawnDetached } from './steps/detached.ts';

const watchMs = 250;
/** How often to look while an instance that is not in the table any more has requests open. */
const drainingMs = 50;

export interface RouterKeeper {
  /** Puts a table in force, as soon as the router takes it; the last one wins. */
  apply(table: RouteTable): void;
  /** Says the present status again (a new link). */
  tellAgain(): void;
  /** What is wrong with an app's own configuration (router/port.ts). @throws PaasError unsupported */
  checkSnippet(snippet: string): Promise<{ line: number; message: string }[]>;
  /** Stops watching; the router goes on. */
  close(): Promise<void>;
}

/** The router with what is told of it besides its state: the requests that it answered, and its access logs. */
export interface RouterHost extends RouterKeeper {
  /** A new link: everything is said again. */
  linkUp(): void;
  linkDown(): void;
  /** All of an ended log is stored. Answers whether it was one of the router's. */
  delivered(instance: string): boolean;
}

/** Starts the router if it does not run, and keeps it. */
export function keepRouter(
  router: Router,
  log: Log,
  tell: (status: RouterStatus) => void,
  tellDown: (reason: string) => void = () => undefined,
): RouterKeeper {
  const stopped = new AbortController();
  const backoff = createBackoff(100, 10_000);
  let wanted: RouteTable | undefined;
  let status: RouterStatus | undefined;
  let told = '';
  /** Why it does not run; '' while it does. */
  let down = '';
  let wake: () => void = () => undefined;

  /** Open requests of instances that are in the table come and go; only of the others it matters when they end. */
  const significant = (now: RouterStatus) => JSON.stringify({ ...now, open: draining(now, wanted) });

  const failed = (error: unknown) => {
    const hint = error instanceof PaasError && error.hint !== '' ? ` ${error.hint}` : '';
    const reason = `${error instanceof Error ? error.message : String(error)}${hint}`;
    if (reason !== down) tellDown(reason);
    down = reason;
    // The next status is news, whatever it says.
    told = '';
  };

  const observed = (now: RouterStatus) => {
    status = now;
    down = '';
    const text = significant(now);
    if (text === told) return;
    told = text;
    tell(now);
  };

  const pause = (ms: number) =>
    Promise.race([
      sleep(ms, undefined, { signal: stopped.signal, ref: false }).catch(() => undefined),
      new Promise<void>((resolve) => (wake = resolve)),
    ]);

  /** The last table that was given to the router, in force or refused. */
  let given: RouteTable | undefined;

  /** Gives the router a table that it has not had yet, else looks at it. */
  const step = async () => {
    const table = wanted;
    if (!table || table === given) {
      observed(await router.observe());
      return;
    }
    try {
      const now = await router.apply(table);
      given = table;
      observed(now);
    } catch (error) {
      if (!(error instanceof PaasError && error.code === 'bad_request')) throw error;
      given = table;
      log.error('the router refuses a table and keeps the one that it has', {
        version: table.version,
        ...errorFields(error),
      });
    }
  };

  const run = async () => {
    let running = false;
    while (!stopped.signal.aborted) {
      try {
        if (!running) {
          observed(await router.start());
          running = true;
          log.info('router runs', { url: status?.url, version: status?.version });
        }
        await step();
        backoff.reset();
        if (wanted === given) await pause(Object.keys(draining(status!, wanted)).length > 0 ? drainingMs : watchMs);
      } catch (error) {
        log.error(running ? 'the router does not answer' : 'the router does not start', errorFields(error));
        failed(error);
        running = false;
        given = undefined;
        await pause(backoff.next());
      }
    }
  };
  const done = run();

  return {
    apply(table) {
      wanted = table;
      wake();
    },
    tellAgain() {
      if (status) tell(status);
      if (down !== '') tellDown(down);
    },
    async checkSnippet(snippet) {
      if (!router.checkSnippet)
        throw new PaasError('unsupported', 'The router of this host takes no configuration of its own.');
      return router.checkSnippet(snippet);
    },
    async close() {
      stopped.abort();
      wake();
      await done;
    },
  };
}

function draining(status: RouterStatus, table: RouteTable | undefined): Record<string, number> {
  if (!table || Object.keys(status.open).length === 0) return {};
  const known = new Set<string>();
  for (const backend of Object.values(table.backends))
    for (const { instance } of backend.endpoints) known.add(instance);
  return Object.fromEntries(Object.entries(status.open).filter(([instance]) => !known.has(instance)));
}

/** The router that this host's user-data asks for, kept from now on; undefined when its role is another. */
export function startRouter(
  userData: Pick<AgentUserData, 'hostId' | 'roles' | 'router'>,
  options: {
    directory: string;
    program: readonly string[];
    log: Log;
    shipper: LogShipper;
    /** Hands a message over; false: there is no link. */
    send(message: AgentMessage): boolean;
  },
): RouterHost | undefined {
  const { router } = userData;
  if (!router || !userData.roles.includes('router')) return undefined;
  const { directory, program, log, shipper } = options;
  const send = (message: AgentMessage) => options.send(message);
  const { address, port, tlsPort } = router;
  const driver = createRouter(router.driver, {
    ...{ directory, address, port, program, spawnDetached },
    run: runProgram,
    ...(tlsPort === undefined ? {} : { tlsPort }),
  });
  const keeper = keepRouter(
    driver,
    log,
    (status) => void send({ type: 'router', status }),
    (reason) => void send({ type: 'routerDown', reason }),
  );
  const traffic = watchTraffic(driver, { send, log });
  const logs = shipRouterLogs({ directory: driver.accessLogs, hostId: userData.hostId, shipper, log });
  return {
    ...keeper,
    apply(table) {
      keeper.apply(table);
      logs.table(table);
    },
    linkUp() {
      keeper.tellAgain();
      traffic.start();
    },
    linkDown: () => traffic.stop(),
    delivered: (instance) => logs.delivered(instance),
    async close() {
      traffic.stop();
      logs.close();
      await keeper.close();
    },
  };
}
