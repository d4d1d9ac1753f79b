/** SpeedyCloud's API, one method a call, and the configuration that it needs. */
import * as z from 'zod/mini';
import {
  speedyAnything,
  speedyHost,
  speedyHosts,
  speedyJobs,
  speedyNamed,
  speedyProvisioned,
  type SpeedyHost,
  type SpeedyJob,
} from '../../shared/contracts/speedycloud.ts';
import { PaasError } from '../../shared/errors.ts';
import { createCaller, type Call, type Caller } from '../caller.ts';
import { isSafeOrigin } from '../endpoint.ts';
import { undiciTransport } from '../http.ts';
import { systemClock, type CloudDeps } from '../port.ts';
import { signSpeedycloudAuthorization, signSpeedycloudHeader } from '../signing/speedycloud.ts';
import { classifySpeedycloud } from './words.ts';

const name = z.string().check(z.minLength(1));
const positive = z.int().check(z.positive());

export const speedycloudConfig = z.strictObject({
  endpoint: z._default(
    z.string().check(z.refine(isSafeOrigin, 'must be an https:// origin without a path (http:// only for loopback)')),
    'https://api.speedycloud.cn',
  ),
  /** header: the API key; authorization: the access key. */
  apiKey: name,
  /** authorization only. */
  secretKey: z.optional(name),
  /** Both are unverified against the live service. */
  authMode: z._default(z.enum(['header', 'authorization']), 'header'),
  zone: name,
  image: name,
  isp: z._default(name, 'Private'),
  diskGb: z._default(positive, 20),
  diskType: z.optional(name),
  /** Mbit/s */
  bandwidth: z._default(positive, 2),
  sshKeys: z._default(z.array(name), []),
  networks: z._default(z.array(name), []),
  timeoutMs: z._default(positive, 15_000),
  /** How long a job of the provider (power off before a destroy) may take. */
  jobTimeoutMs: z._default(positive, 180_000),
});
export type SpeedycloudConfig = z.infer<typeof speedycloudConfig>;

export type HostAction = 'start' | 'stop' | 'restart' | 'resume' | 'destroy';

export interface SpeedycloudApi {
  hosts(): Promise<SpeedyHost[]>;
  /** Null when there is no such host; so is `jobs`. */
  host(id: string): Promise<SpeedyHost | null>;
  jobs(id: string): Promise<SpeedyJob[] | null>;
  provision(form: Record<string, string>): Promise<z.infer<typeof speedyProvisioned>>;
  act(id: string, action: HostAction): Promise<void>;
  tag(id: string, tag: string): Promise<void>;
  alias(id: string, alias: string): Promise<void>;
  images(): Promise<string[]>;
  zones(): Promise<string[]>;
  /** Provider's clock minus ours, from the last answer. */
  clockOffsetMs(): number;
}

const base = '/api/v1/products';
const servers = `${base}/cloud_servers`;

export function createApi(config: SpeedycloudConfig, deps: CloudDeps): SpeedycloudApi {
  const caller = callerFor(config, deps);
  const at = (id: string, action = '') => `${servers}/${encodeURIComponent(id)}${action}`;

  const get = <T extends z.ZodMiniType>(path: string, what: string, schema: T) =>
    caller.call({ method: 'GET', path, repeatable: true, what }, schema);

  const post = <T extends z.ZodMiniType>(call: Pick<Call, 'path' | 'what'>, form: Record<string, string>, schema: T) =>
    caller.call(
      {
        ...call,
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
        repeatable: call.path !== `${servers}/provision`,
      },
      schema,
    );
  const change = async (id: string, action: string, form: Record<string, string> = {}) => {
    await post({ path: at(id, `/${action}`), what: `${action} host ${id}` }, form, speedyAnything);
  };

  return {
    hosts: () => get(`${servers}/`, 'list the hosts', speedyHosts),
    host: (id) => orNull(() => get(at(id), `show host ${id}`, speedyHost)),
    jobs: (id) => orNull(() => get(at(id, '/jobs'), `show the jobs of host ${id}`, speedyJobs)),
    provision: (form) => post({ path: `${servers}/provision`, what: 'create a host' }, form, speedyProvisioned),
    act: (id, action) => change(id, action),
    tag: (id, tag) => change(id, 'tag', { tag }),
    alias: (id, alias) => change(id, 'alias', { alias }),
    images: async () => names(await get(`${base}/images/`, 'list the images', speedyNamed)),
    async zones() {
      // The documents put the zones below the products, the provider's SDK of 2018 above them.
      const what = 'list the zones';
      const below = await orNull(() => get(`${base}/availability_zones`, what, speedyNamed));
      return names(below ?? (await get('/api/v1/availability_zones/', what, speedyNamed)));
    },
    clockOffsetMs: () => caller.clockOffsetMs(),
  };
}

function callerFor(config: SpeedycloudConfig, deps: CloudDeps): Caller {
  const clock = deps.clock ?? systemClock;
  const { apiKey, secretKey = '' } = config;
  const signsRequest = config.authMode === 'authorization';
  if (signsRequest && secretKey === '') {
    throw new PaasError('manifest_invalid', 'authMode `authorization` needs a secretKey');
  }
  return createCaller({
    provider: 'SpeedyCloud',
    endpoint: new URL(config.endpoint).origin,
    transport: deps.transport ?? undiciTransport,
    clock,
    timeoutMs: config.timeoutMs,
    sign: ({ method, path }, now) =>
      signsRequest
        ? signSpeedycloudAuthorization({ accessKey: apiKey, secretKey }, method, path, now)
        : signSpeedycloudHeader(apiKey, now),
    classify: (response) => classifySpeedycloud(response, clock.now(), [apiKey, secretKey]),
  });
}

const names = (list: { name: string }[]) => list.map((item) => item.name);

async function orNull<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof PaasError && error.code === 'cloud_not_found') return null;
    throw error;
  }
}
