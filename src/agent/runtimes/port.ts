/**
 * Port Runtime: how an app's process is set apart from the rest of the host. A driver only says which command starts
 * it (data, no effects); the keeper starts and records it, the supervisor decides when.
 *
 *            start            exit file written        keeper ended
 *   (none) ────────► running ───────────────────► ended ───────────► drained: all output is in the files
 *                       │  exec: further commands inside
 *                       └─ keeper gone without exit file: ended, status unknown
 */
import type { ProcessEntry } from '../../shared/processes.ts';

export type RuntimeKind = 'process' | 'sandbox';

/** What the app finds as its system: the host's, or an imported root file system. */
export type Base = { kind: 'host' } | { kind: 'rootfs'; path: string };

/** The user an app runs as; null where the agent is not root: then it is the agent's own. */
export type Owner = { uid: number; gid: number } | null;

export interface RuntimeSpec {
  /** Instance directory: `app/` (the tree; its owner is the app's user), `tmp/`, `run/`. Absolute. */
  directory: string;
  /** Host name inside, where it can have one of its own. */
  hostname: string;
  base: Base;
  owner: Owner;
  /** Variables of the app; HOME and TMPDIR are set by the driver (`homeOf`). */
  env: Readonly<Record<string, string>>;
  /** Directories of the platform that the app must not see, wherever they lie. */
  hidden?: readonly string[];
  /** cgroup directory by controller that the app may see as its own, so that node and the JVM find their limit. */
  cgroups: Readonly<Record<string, string>>;
  /**
   * Further directories it may write to: place inside (below /tmp) → place on the host. The plain process finds them at
   * their place on the host; `placeOf` says where.
   */
  binds?: Readonly<Record<string, string>>;
}

/** A command as data. `env` goes to the program through file descriptor 3 (see scripts.ts). */
export interface RuntimeCommand {
  /** Program and arguments; never empty. */
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
}

export type Check = { ok: true } | { ok: false; reason: string };

export interface Runtime {
  readonly kind: RuntimeKind;
  /** Whether it works on this host, tried for real with a user such as apps get; the reason is for people. */
  check(owner: Owner): Promise<Check>;
  /** The command that starts the app's shell command line. */
  start(spec: RuntimeSpec, command: string): RuntimeCommand;
  /** A command in a fresh surrounding like the instance's own, which is not kept: `paas run`, build commands. */
  run(spec: RuntimeSpec, argv: readonly string[]): RuntimeCommand;
  /** A command inside a running instance. `members`: the instance's processes, see `membersOf`. */
  exec(spec: RuntimeSpec, argv: readonly string[], members: readonly ProcessEntry[], app: number): RuntimeCommand;
  /** Those of an instance's processes that are the app itself, and so get stop signals, not its wrapping. */
  appProcesses(members: readonly ProcessEntry[], app: number): ProcessEntry[];
  /** The one of them that runs the command; undefined while there is only its wrapping. */
  firstProcess(members: readonly ProcessEntry[], app: number): ProcessEntry | undefined;
  /** HOME and TMPDIR as the app sees them. */
  home(spec: Pick<RuntimeSpec, 'directory'>): { HOME: string; TMPDIR: string };
  /** Where a bind is for the app. */
  placeOf(bind: { inside: string; host: string }): string;
}
