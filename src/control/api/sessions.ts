/** Endpoint that prepares `paas run` and `paas exec`. The WebSocket itself is taken in main.ts. */
import { createHash } from 'node:crypto';
import type * as z from 'zod/mini';
import * as api from '../../shared/contracts/api.ts';
import { defaultMemoryMb } from '../../shared/contracts/app-spec.ts';
import { PaasError } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';
import { launchArgv, launchLine, shellQuote } from '../../stacks/support/launch.ts';
import { instanceSpec, releaseFacts } from '../agents/assignments.ts';
import { appFlags } from '../deploy/apps.ts';
import { runOnce } from '../deploy/once.ts';
import { refuseTooLarge } from '../deploy/scale.ts';
import type { AppRow } from '../store/schema.ts';
import { endpoint, type Call, type Endpoint } from './define.ts';
import { appOf, appPath, audit } from './naming.ts';

type Request = z.infer<typeof api.sessionRequest>;

export const sessionEndpoints: Endpoint[] = [
  endpoint({
    method: 'POST',
    path: `${appPath}/sessions`,
    summary: 'Prepare an interactive or a detached command',
    role: 'developer',
    body: api.sessionRequest,
    response: api.sessionResponse,
    handle: async (call) => {
      const app = await appOf(call);
      return call.body.kind === 'exec' ? exec(call, app) : run(call, app);
    },
  }),
];

async function exec(call: Call<Request>, app: AppRow): Promise<unknown> {
  const { control, body, principal } = call;
  const name = body.instance ?? '';
  const rows = await control.store.db
    .selectFrom('instances')
    .selectAll()
    .where('app_id', '=', app.id)
    .where('ended_at', 'is', null)
    .orderBy('created_at', 'desc')
    .execute();
  const row = rows.find(
    (candidate) => candidate.id === name || `${candidate.process_type}.${candidate.ordinal}` === name,
  );
  if (!row)
    throw new PaasError('not_found', `${app.name} has no running instance ${name}.`, {
      hint: `See \`paas ps${appFlags(app)}\`.`,
    });
  if (row.host_id === null || !control.hub.connected(row.host_id)) {
    throw new PaasError('host_failed', `The host of ${name} does not answer.`, { hint: 'See `paas hosts`.' });
  }
  const tty = body.tty === undefined ? {} : { tty: body.tty };
  const session = control.sessions.prepare(row.host_id, principal.keyId, {
    target: { exec: row.id },
    argv: body.argv,
    ...tty,
  });
  // The command's words may hold secrets: the event names only its first.
  await audit(call, 'app.exec', app, `exec in ${name}: ${body.argv[0] ?? ''}`);
  return { session, path: `/v1/sessions/${session}`, instance: name };
}

async function run(call: Call<Request>, app: AppRow): Promise<unknown> {
  const { control, body, principal } = call;
  if (app.release === null)
    throw new PaasError('conflict', `${app.name} has no release yet.`, { hint: '`paas push` makes one.' });
  const memoryMb = body.memoryMb ?? defaultMemoryMb;
  refuseTooLarge('run', memoryMb, control.settings.cluster);
  const facts = await releaseFacts(control, app.id, app.release);
  if (!facts) throw new PaasError('not_found', `The release v${app.release} is gone.`);
  const { profile } = facts.image;
  const command = body.detach ? launchLine(profile, body.argv.map(shellQuote).join(' ')) : 'true';
  if (body.detach) {
    const row = await runOnce(control, app.id, {
      release: app.release,
      epoch: app.epoch,
      processType: 'run',
      kind: 'task',
      command,
      memoryMb,
      tag: runTag(call),
    });
    await audit(call, 'app.run', app, `run.${row.ordinal} was started: ${body.argv[0] ?? ''}`);
    return { session: null, path: null, instance: `run.${row.ordinal}` };
  }
  const host = await hostFor(call, memoryMb);
  const spec = instanceSpec(
    control,
    {
      id: newId('ins'),
      app_id: app.id,
      release: app.release,
      epoch: app.epoch,
      process_type: 'run',
      kind: 'task',
      ordinal: 1,

      host_id: host,
      desired: 'run',
      drain_version: null,
      drain_at: null,
      memory_mb: memoryMb,
      cpu: null,
      command,
      restart_token: '',
      replacing: 0,
      state: 'pending',
      ready: 0,
      was_healthy: 0,
      address: null,
      port: null,
      started_at: null,
      restarts: 0,
      message: null,
      exit: null,
      created_at: Date.now(),
      ended_at: null,
    },
    facts,
  );
  const tty = body.tty === undefined ? {} : { tty: body.tty };
  const session = control.sessions.prepare(host, principal.keyId, {
    target: { run: spec },
    argv: launchArgv(profile, body.argv),
    ...tty,
  });
  await audit(call, 'app.run', app, `run: ${body.argv[0] ?? ''}`);
  return { session, path: `/v1/sessions/${session}`, instance: 'run' };
}

/** The same for a request that is repeated: a server that was killed meanwhile may have begun the run already. */
function runTag({ request, principal }: Call<Request>): string {
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string') return newId('run');
  return `run_${createHash('sha256').update(`${principal.keyId}\n${key}`).digest('hex').slice(0, 32)}`;
}

/** A connected compute host, the emptiest first: an attached run is short and takes no room in the plan. */
async function hostFor(call: Call<Request>, memoryMb: number): Promise<string> {
  const { control } = call;
  const rows = await control.store.db
    .selectFrom('hosts')
    .selectAll()
    .where('state', '=', 'ready')
    .where('draining', '=', 0)
    .execute();
  const able = rows.filter(
    (row) =>
      (JSON.parse(row.roles) as string[]).includes('compute') &&
      control.hub.connected(row.id) &&
      row.memory_mb >= memoryMb,
  );
  const used = await control.store.db
    .selectFrom('instances')
    .select(['host_id', 'memory_mb'])
    .where('ended_at', 'is', null)
    .execute();
  const load = (id: string) => used.reduce((sum, row) => sum + (row.host_id === id ? row.memory_mb : 0), 0);
  able.sort((a, b) => load(a.id) - load(b.id));
  const [first] = able;
  if (first) return first.id;
  throw new PaasError('no_capacity', 'No host is ready to run it.', {
    hint: 'See `paas hosts`; `paas hosts create` makes one.',
  });
}
