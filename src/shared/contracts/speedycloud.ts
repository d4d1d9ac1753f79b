/**
 * The SpeedyCloud API, base /api/v1/products: spoken by the `speedycloud` driver and by the embedded cloud. Requests are
 * form-encoded, answers JSON, errors non-200 with `{error}`. Parsed leniently: the list of hosts gives numbers where
 * the detail gives strings ("2048MB"), and optional fields come as null, "" or not at all.
 */
import * as z from 'zod/mini';

const numberOrText = z.union([z.number(), z.string()]);
const optionalText = z.nullish(z.string());

export const speedyHost = z.object({
  id: numberOrText,
  name: z.string(),
  /** Created, Provisioning, Running, Stopped, Suspended, ERROR */
  status: z.string(),
  ips: z.nullish(z.array(z.string())),
  tags: optionalText,
  alias: optionalText,
  group_name: optionalText,
  has_running_job: z.nullish(z.boolean()),
  created_at: optionalText,
  cpu: z.nullish(numberOrText),
  memory: z.nullish(numberOrText),
  disk: z.nullish(numberOrText),
  /** Detail only: the user-data that the host was created with. */
  bootscript: optionalText,
});
export type SpeedyHost = z.infer<typeof speedyHost>;

export const speedyHosts = z.array(speedyHost);

/** Answer to provision: the host, of which only the id is sure to be there. */
export const speedyProvisioned = z.object({ id: numberOrText, tags: optionalText, alias: optionalText });

export const speedyJob = z.object({
  id: numberOrText,
  name: z.string(),
  server: z.nullish(numberOrText),
  /** queue, running, success, fail */
  status: z.string(),
  finished: z.nullish(z.union([z.boolean(), z.string()])),
  error: optionalText,
});
export type SpeedyJob = z.infer<typeof speedyJob>;

export const speedyJobs = z.array(speedyJob);
export const speedyError = z.object({ error: z.string() });
export const speedyNamed = z.array(z.object({ name: z.string() }));
export const speedyAnything = z.unknown();

const digits = z.string().check(z.regex(/^\d{1,9}$/, 'must be a whole number'));

/** Form of POST /cloud_servers/provision. `tag` and `alias` are an extension of the embedded cloud. */
export const speedyProvision = z.object({
  az: z.string(),
  isp: z.string(),
  image: z.string(),
  cpu: digits,
  /** MiB */
  memory: digits,
  /** GiB */
  disk: digits,
  bandwidth: digits,
  disk_type: z.optional(z.string()),
  sshkeys: z.optional(z.string()),
  networks: z.optional(z.string()),
  bootscript: z.optional(z.string().check(z.maxLength(256 * 1024))),
  tag: z.optional(z.string().check(z.maxLength(1024))),
  alias: z.optional(z.string().check(z.maxLength(255))),
});
export type SpeedyProvision = z.infer<typeof speedyProvision>;
