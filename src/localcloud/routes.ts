/** What each path of the API does, and how hosts and jobs look in its answers. */
import * as z from 'zod/mini';
import { speedyProvision } from '../shared/contracts/speedycloud.ts';
import { describeIssues } from '../shared/issues.ts';
import { hostActions, type Fleet, type HostAction } from './fleet.ts';
import { unfinished } from './jobs.ts';
import { Refusal } from './refusal.ts';
import type { HostRecord, JobRecord } from './state.ts';

/** Takes the request's fields, gives the answer's JSON. Throws Refusal. */
export type Handler = (form: Record<string, unknown>) => unknown;

export const localZone = 'local-1';
/** The image with the agent in it: its user-data is the agent's, a JSON document. */
export const localImage = 'paas-agent';
export const localIsp = 'local';

const label = z.string().check(z.maxLength(1024));
const labels = {
  tag: z.object({ tag: label }),
  alias: z.object({ alias: label }),
  group: z.object({ group: label }),
};

export function createRouter(fleet: Fleet, shutdown: () => Promise<void>) {
  const forHost = (id: number, action: string): Handler | undefined => {
    if ((hostActions as string[]).includes(action)) {
      return () => presentJob(fleet.act(id, action as HostAction), id);
    }
    switch (action) {
      case 'kill':
        return async () => detail(await fleet.kill(id));
      case 'tag':
        return (form) => relabel(id, { tags: parse(labels.tag, form).tag });
      case 'alias':
        return (form) => relabel(id, { alias: parse(labels.alias, form).alias });
      case 'group':
        return (form) => relabel(id, { groupName: parse(labels.group, form).group });
      default:
        return undefined;
    }
  };
  const relabel = (id: number, changed: Parameters<Fleet['label']>[1]) => detail(fleet.label(id, changed));
  const provision: Handler = (form) => {
    const request = parse(speedyProvision, form);
    if (request.az !== localZone) throw new Refusal(400, `there is no availability zone ${request.az}`);
    if (request.image !== localImage) throw new Refusal(400, `there is no image ${request.image}`);
    return detail(fleet.provision(request));
  };
  const fixed: Record<string, Handler> = {
    'GET /cloud_servers': () => fleet.hosts().map(summary),
    'POST /cloud_servers/provision': provision,
    'GET /availability_zones': () => [
      {
        name: localZone,
        display_name: 'This machine',
        support_isps: [localIsp],
        public_images: [{ name: localImage }],
      },
    ],
    'GET /images': () => [{ name: localImage }],
    'POST /platform/shutdown': async () => {
      await shutdown();
      return { stopped: fleet.hosts().length };
    },
  };

  return (method: string, path: string): Handler | undefined => {
    const known = fixed[`${method} ${path}`];
    if (known) return known;
    const [, digits, action] = /^\/cloud_servers\/(\d{1,9})(?:\/([a-z]+))?$/.exec(path) ?? [];
    if (digits === undefined) return undefined;
    const id = Number(digits);
    if (method === 'POST' && action !== undefined) return forHost(id, action);
    if (method !== 'GET') return undefined;
    if (action === undefined) return () => detail(fleet.host(id));
    return action === 'jobs' ? () => fleet.host(id).jobs.map((job) => presentJob(job, id)) : undefined;
  };
}

function parse<T extends z.ZodMiniType>(schema: T, form: Record<string, unknown>): z.infer<T> {
  const parsed = schema.safeParse(form);
  if (parsed.success) return parsed.data;
  throw new Refusal(400, describeIssues(parsed.error.issues));
}

/** A host in the list: sizes are numbers, memory in GiB. */
function summary(host: HostRecord) {
  return {
    id: host.id,
    name: host.name,
    status: host.status,
    ips: [host.address],
    tags: host.tags,
    alias: host.alias,
    group_name: host.groupName,
    has_running_job: unfinished(host) !== undefined,
    availability_zone: { name: host.zone, display_name: host.zone },
    network: {},
    isp: host.isp,
    image: host.image,
    cpu: host.cpu,
    memory: host.memoryMb / 1024,
    disk: host.diskGb,
    bandwidth: host.bandwidth,
    created_at: host.createdAt,
  };
}

/** A host by itself: sizes are text. */
function detail(host: HostRecord) {
  return {
    ...summary(host),
    cpu: String(host.cpu),
    memory: `${host.memoryMb}MB`,
    disk: `${host.diskGb}GB`,
    bandwidth: `${host.bandwidth}Mbps`,
    bootscript: host.bootscript,
  };
}

function presentJob(job: JobRecord, server: number) {
  return {
    id: job.id,
    name: job.name,
    server,
    status: job.status,
    created_at: job.createdAt,
    finished: job.finishedAt ?? '',
    ...(job.error === null ? {} : { error: job.error }),
  };
}
