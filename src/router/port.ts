/**
 * The Router port: what takes users' requests to instances. A router knows one versioned route table and nothing else;
 * it is a process of its own, kept by the agent beside it, and serves on while agent and control plane are away.
 *
 *            start                       apply(table)
 *   absent ─────────► running, version n ────────────► running, version n+1
 *     ▲                 │      ▲   │                     (old endpoints drain: no new request, open ones go on)
 *     │ stop            │      └───┘ start: nothing to do
 *     └─────────────────┤
 *                       │ dies (crash, kill -9, reboot)
 *                       └──► dead ── start ──► running, version n (the last table, from its disk)
 *
 * Drivers import this file and src/shared only. The agent owns one Router and calls its methods from one place.
 */
import type { RouterStatus, RouterTraffic, RouteTable } from '../shared/contracts/routes.ts';

export interface Router {
  /**
   * Ensures that the router runs with this configuration; does nothing when it does already. A router that was started
   * with another address, port, program or version is stopped gracefully and started anew. The agent calls it at its own
   * start and whenever `observe` fails.
   * @throws PaasError `unavailable` (it does not start; the message has its reason), `conflict` (port in use or another
   *   router in the directory), `timeout`
   */
  start(): Promise<RouterStatus>;

  /**
   * Puts a whole table in force, starting the router if it does not run. Resolves when the version is in force for every
   * new request and is safe on disk; requests under way stay where they are. The last table given wins, whatever its
   * version; calls are carried out in order, and a call overtaken while waiting resolves with the newer version.
   * @throws PaasError `bad_request` when the table contradicts itself (nothing is changed then), or as `start`
   */
  apply(table: RouteTable): Promise<RouterStatus>;

  /**
   * What is in force now, and how many requests and connections are open on each instance, also on instances that are no
   * longer in the table: an instance missing from `open` and from the table is drained.
   * @throws PaasError `unavailable` when the router does not run or does not answer
   */
  observe(): Promise<RouterStatus>;

  /**
   * What each release of each app has answered since the router's process began, for the analysis of rollouts and for
   * `paas app`. Releases without a request are left out.
   * @throws PaasError `unavailable` when the router does not run or does not answer
   */
  traffic(): Promise<RouterTraffic>;

  /**
   * Directory with the access logs: `APPID.log` for each app, `-.log` for requests that no route matched. A line for
   * each request that ended, in the form of shared/access-line.ts, within 1 s of its end. The agent ships the files of
   * apps, gives back their space from the front, and removes those of apps that the table has lacked for an hour: a router
   * opens them anew should the app come back.
   */
  readonly accessLogs: string;

  /**
   * Only where an app may have a configuration of its own for this router: whether it would be taken.
   * @returns what is wrong with it, by line of the snippet (from 1); none: it is fine
   */
  checkSnippet?(snippet: string): Promise<{ line: number; message: string }[]>;

  /** Stops it gracefully: no new connections, open requests and connections have 10 s, then they are broken off. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a program that outlives the caller: own session, standard input from nowhere, output appended to `logFile`
 * (0600). Injected by the agent, since only its runtimes and steps may start processes.
 * @returns the pid; it may be dead already
 */
export type SpawnDetached = (
  argv: readonly string[],
  options: { logFile: string; env: Readonly<Record<string, string>> },
) => Promise<number>;

/** Runs a program to its end and gives what it said. Injected as `SpawnDetached` is. Rejects where it cannot be started. */
export type RunProgram = (
  argv: readonly string[],
  options: { timeoutMs: number },
) => Promise<{ code: number; output: string }>;

export interface RouterConfig {
  /** A directory of the router's own (made with mode 0700): table, control socket, logs. Its path must be short (< 90 bytes). */
  directory: string;
  /** Where users connect, and where TCP routes listen. */
  address: string;
  /** 0: any free port, reported in `RouterStatus.url`, and taken again after a restart when it is still free. */
  port: number;
  /** Where users connect with TLS, once the table has certificates; 0 as with `port`. Absent: no TLS. */
  tlsPort?: number;
  /** Command line of the router program, without its flags: `[node, /path/to/paas-router.js]`. */
  program: readonly string[];
  spawnDetached: SpawnDetached;
  run: RunProgram;
  /** Proxies (addresses or CIDR) whose X-Forwarded-* are believed, beside loopback. */
  trustedProxies?: readonly string[];
  /** How long an instance may take to begin its answer; default 60 s. */
  responseTimeoutMs?: number;
}

export type RouterFactory = (config: RouterConfig) => Router;
