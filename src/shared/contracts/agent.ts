/**
 * The link between control plane and agent: one WebSocket, dialled by the agent, signed like any request.
 *
 *   agent                                   control
 *     │ POST /v1/agents/enrol  (one-time token) ─►│  once; answers the agent's own key
 *     │ GET  /v1/agents/link   (WebSocket)       ─►│
 *     │ hello ───────────────────────────────────►│
 *     │◄─────────────────────── welcome, assignment │  whole desired state, by generation
 *     │ report, logs, router, stepResult ─────────►│
 *     │◄────── assignment, table, step, logsAck, … │
 *
 * Text frames carry one of the messages below. Binary frames carry log blocks (`encodeFrame`: 4 bytes big-endian
 * header length, header JSON, raw bytes; shared/frames.ts). Trees, blobs and bases travel over HTTP (transfer.ts).
 */
import * as z from 'zod/mini';
import { instanceSpec, instanceStatus, baseRef } from './instances.ts';
import { routeTable, routerStatus, routerTraffic } from './routes.ts';
import { step, stepResult } from './steps.ts';

export const agentProtocol = 1;

/** 0: any free one. */
const listenPort = z.int().check(z.minimum(0), z.maximum(65_535));

export const hostRole = z.enum(['compute', 'router', 'build']);
export type HostRole = z.infer<typeof hostRole>;

/** What cloud-init user-data hands to a new host's agent (JSON). The token works once. */
export const agentUserData = z.object({
  controlUrl: z.string(),
  hostId: z.string(),
  /** What people call the host, for messages. */
  name: z.optional(z.string()),
  token: z.string(),
  roles: z.array(hostRole),
  /** PEM of the CA to trust, when the control plane's certificate is not from a public one. */
  ca: z.optional(z.string()),
  /** Router role: where users connect. */
  router: z.optional(
    z.object({
      driver: z.string(),
      address: z.string(),
      port: listenPort,
      /** Absent: no TLS. */
      tlsPort: z.optional(listenPort),
    }),
  ),
});
export type AgentUserData = z.infer<typeof agentUserData>;

export const enrolRequest = z.object({ hostId: z.string(), token: z.string(), agentVersion: z.string() });
export const enrolResponse = z.object({ keyId: z.string(), secret: z.string() });

export const hostFacts = z.object({
  agentVersion: z.string(),
  bootId: z.string(),
  os: z.string(),
  arch: z.string(),
  cpu: z.number(),
  memoryMb: z.int(),
  /** Tool -> version for what stacks may need: node, npm, pnpm, yarn, python3, java, javac, mvn, git. */
  tools: z.record(z.string(), z.string()),
  runtimes: z.array(z.enum(['process', 'sandbox'])),
  /** Why a runtime or a limit is not there, for `paas status`. */
  notices: z.array(z.string()),
  bases: z.array(baseRef),
  /** Where instances listen: the address that routers use. */
  address: z.string(),
  disk: z.object({ totalMb: z.number(), freeMb: z.number() }),
});
export type HostFacts = z.infer<typeof hostFacts>;

/** Everything that shall be on a host. Whole, not a difference: an agent that missed ten of them needs only the last. */
export const assignment = z.object({
  generation: z.int(),
  instances: z.array(instanceSpec),
  /** Trees worth keeping on the host (rollback targets); others may be collected. */
  keepTrees: z.array(z.string()),
});
export type Assignment = z.infer<typeof assignment>;

/** Position up to which the control plane has stored an instance's output durably. */
export const logPosition = z.object({ instance: z.string(), stream: z.enum(['stdout', 'stderr']), offset: z.int() });
export type LogPosition = z.infer<typeof logPosition>;

/** Header of a binary log frame. The payload is bytes `from..to` of the stream, cut at line ends where there are any. */
export const logBlock = z.object({
  type: z.literal('logs'),
  /** Instance id, or `bld_…` for a build's output. */
  instance: z.string(),
  name: z.string(),
  appId: z.string(),
  processType: z.string(),
  release: z.nullable(z.int()),
  source: z.enum(['app', 'build', 'router', 'platform']),
  stream: z.enum(['stdout', 'stderr']),
  from: z.int(),
  to: z.int(),
  /** ISO time: when the last byte of the block was written (file mtime), to the millisecond. */
  ts: z.string(),
  /** The payload's last line has no newline yet (over 64 KiB, or the process ended): the next block goes on with it. */
  partial: z._default(z.boolean(), false),
  /** Lines and bytes before `from` that the host had to drop because its spool was full. */
  dropped: z._default(z.object({ bytes: z.int(), lines: z.int() }), { bytes: 0, lines: 0 }),
});
export type LogBlock = z.infer<typeof logBlock>;

/** An interactive command: `paas exec` in an instance, `paas run` in a fresh one. Data is base64. */
export const sessionOpen = z.object({
  type: z.literal('sessionOpen'),
  session: z.string(),
  /** exec: the running instance to enter; run: a spec to start it with. */
  target: z.union([z.object({ exec: z.string() }), z.object({ run: instanceSpec })]),
  argv: z.array(z.string()).check(z.minLength(1)),
  /** Present: allocate a terminal of this size. */
  tty: z.optional(z.object({ columns: z.int(), rows: z.int() })),
  /** The agent shall say `sessionTaken`. Absent from a control plane that does not know that message. */
  flow: z.optional(z.boolean()),
});
export type SessionOpen = z.infer<typeof sessionOpen>;

export const sessionInput = z.object({
  type: z.literal('sessionInput'),
  session: z.string(),
  /** null closes standard input. */
  data: z.nullable(z.string()),
});
/**
 * So many bytes of input more were taken by the command: who sends input has no more than a window of it on its way.
 * The first one, of 0 bytes, comes at once; an agent that sends none does not know the message.
 */
export const sessionTaken = z.object({ type: z.literal('sessionTaken'), session: z.string(), bytes: z.int() });
export const sessionSignal = z.object({
  type: z.literal('sessionSignal'),
  session: z.string(),
  signal: z.enum(['SIGINT', 'SIGTERM', 'SIGKILL', 'SIGHUP']),
});
export const sessionOutput = z.object({
  type: z.literal('sessionOutput'),
  session: z.string(),
  stream: z.enum(['stdout', 'stderr']),
  data: z.string(),
});
export const sessionExit = z.object({
  type: z.literal('sessionExit'),
  session: z.string(),
  /** 128 + signal number for a signal, as shells do. */
  code: z.int(),
  error: z.optional(z.string()),
});

/** agent → control */
export const agentMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    protocol: z.int(),
    hostId: z.string(),
    facts: hostFacts,
    generation: z.int(),
    instances: z.array(instanceStatus),
    /** Results of steps that the control plane has not acknowledged yet. */
    stepResults: z.array(stepResult),
    /** Ids of steps under way. */
    steps: z.array(z.string()),
  }),
  z.object({
    type: z.literal('report'),
    /** The generation that the agent has taken up (durably), not necessarily finished. */
    generation: z.int(),
    instances: z.array(instanceStatus),
    /** True: all instances, so what is missing is gone. False: only those that changed. */
    full: z.boolean(),
    disk: z.object({ totalMb: z.number(), freeMb: z.number() }),
  }),
  z.object({ type: z.literal('router'), status: routerStatus }),
  /** It does not run, or does not answer: why, and what to do. Void with the next status. */
  z.object({ type: z.literal('routerDown'), reason: z.string() }),
  /** What changed since the last such message of this link; the first one of a link has all. */
  z.object({ type: z.literal('traffic'), traffic: routerTraffic }),
  z.object({ type: z.literal('stepResult'), result: stepResult }),
  sessionTaken,
  sessionOutput,
  sessionExit,
]);
export type AgentMessage = z.infer<typeof agentMessage>;

/** control → agent */
export const controlMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('welcome'),
    serverVersion: z.string(),
    /** Positions of all logs of this host that are stored; an instance not named is at 0. */
    logs: z.array(logPosition),
    heartbeatMs: z.int(),
  }),
  z.object({ type: z.literal('assignment'), assignment }),
  z.object({ type: z.literal('table'), table: routeTable }),
  z.object({ type: z.literal('step'), step }),
  z.object({ type: z.literal('stepCancel'), id: z.string() }),
  z.object({ type: z.literal('stepAck'), id: z.string() }),
  z.object({ type: z.literal('logsAck'), positions: z.array(logPosition) }),
  sessionOpen,
  sessionInput,
  sessionSignal,
]);
export type ControlMessage = z.infer<typeof controlMessage>;
