/** Endpoints that agents use: enrolment, and the transfer of trees, blobs and base images. */
import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import { enrolRequest, enrolResponse } from '../../shared/contracts/agent.ts';
import { blobsRequest, packContentType, treesRequest } from '../../shared/contracts/transfer.ts';
import { digest } from '../../shared/contracts/instances.ts';
import { PaasError } from '../../shared/errors.ts';
import { collectTree } from '../blobs/reachable.ts';
import type { Control } from '../context.ts';
import { version } from '../../shared/version.ts';
import { endpoint, parseBody, type Call, type Endpoint } from './define.ts';
import type { StoredKeys } from './keys.ts';
import { uploadEndpoints } from './platform.ts';

export function agentEndpoints(keys: StoredKeys): Endpoint[] {
  return [
    endpoint({
      method: 'POST',
      path: '/v1/agents/enrol',
      summary: 'Exchange a one-time token for a key',
      role: 'agent',
      body: enrolRequest,
      response: enrolResponse,
      handle: async (call) => {
        const key = await keys.enrol(call.body.hostId, call.body.token);
        await call.control.events.record({
          kind: 'host.enrolled',
          actor: 'platform',
          target: call.body.hostId,
          message: 'an agent enrolled',
        });
        return key;
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/agents/trees',
      summary: 'A tree as a pack, without what `have` reaches',
      role: 'agent',
      body: treesRequest,
      handle: async (call) => {
        await mayRead(call, call.body.root);
        const { blobs } = call.control;
        const have = call.body.have.filter((root) => blobs.has([root])[0] === true);
        await sendPack(call, await blobs.packStream(await collectTree(blobs, call.body.root, have)));
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/agents/blobs',
      summary: 'Objects as a pack',
      role: 'agent',
      body: blobsRequest,
      handle: async (call) => {
        const { blobs } = call.control;
        const present = blobs.has(call.body.digests);
        await sendPack(call, await blobs.packStream(call.body.digests.filter((_, index) => present[index] === true)));
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/agents/bases/:digest',
      summary: 'A base image as it was added',
      role: 'agent',
      handle: async (call) => {
        const wanted = parseBody(digest, call.params['digest']);
        const base = await call.control.store.db
          .selectFrom('bases')
          .selectAll()
          .where('digest', '=', wanted)
          .executeTakeFirst();
        if (!base) throw new PaasError('not_found', `There is no base image ${wanted.slice(0, 12)}.`);
        const stream = await call.control.blobs.stream(wanted);
        await send(call, stream, 'application/x-tar', base.bytes);
      },
    }),
    ...uploadEndpoints('/v1/agents', 'agent'),
  ];
}

/** An agent reads what its assignment and its builds name. */
async function mayRead(call: Call<unknown>, root: string): Promise<void> {
  const { hostId } = call.principal;
  if (hostId !== null && (await readable(call.control, hostId, root))) return;
  throw new PaasError('not_allowed', `The tree ${root.slice(0, 12)} is neither assigned to this host nor built on it.`);
}

async function readable(control: Control, hostId: string, root: string): Promise<boolean> {
  if (control.sessions.reads(hostId, root)) return true;
  const { db } = control.store;
  const assigned = await db
    .selectFrom('instances')
    .innerJoin('releases', (join) =>
      join.onRef('releases.app_id', '=', 'instances.app_id').onRef('releases.version', '=', 'instances.release'),
    )
    .innerJoin('images', 'images.id', 'releases.image_id')
    .select('instances.id')
    .where('instances.host_id', '=', hostId)
    .where('instances.ended_at', 'is', null)
    .where('images.tree', '=', root)
    .executeTakeFirst();
  if (assigned) return true;
  const builds = await db
    .selectFrom('builds')
    .select('step')
    .where('host_id', '=', hostId)
    .where('state', '=', 'running')
    .execute();
  return builds.some((build) => (JSON.parse(build.step) as { source: string }).source === root);
}

function sendPack(call: Call<unknown>, pack: { stream: Readable; bytes: number }): Promise<void> {
  return send(call, pack.stream, packContentType, pack.bytes);
}

async function send(call: Call<unknown>, stream: Readable, type: string, bytes: number): Promise<void> {
  const { raw } = call.reply.hijack();
  raw.writeHead(200, { 'paas-version': version, 'content-type': type, 'content-length': bytes });
  try {
    await pipeline(stream, raw);
  } catch (error) {
    // The agent sees a cut answer and asks again; here it is worth a line, since it may be a damaged store.
    call.control.logger.error('a transfer to an agent broke', error, { host: call.principal.name });
    raw.destroy();
  }
}
