/** The cloud drivers there are. Adding one: its file, one entry here, one line that runs the conformance suite on it. */
import type * as z from 'zod/mini';
import { PaasError } from '../shared/errors.ts';
import { describeIssues } from '../shared/issues.ts';
import type { CloudDeps, CloudDriver } from './port.ts';
import { createSpeedycloud, speedycloudConfig } from './speedycloud.ts';

export interface CloudDriverEntry<Schema extends z.ZodMiniType = z.ZodMiniType> {
  description: string;
  /** Of the driver's configuration. */
  schema: Schema;
  /** Fields of it to encrypt at rest and never to show. */
  secrets: string[];
  /** What was proven against the provider's live service, for `paas clouds`. */
  verified: string;
  create(config: z.infer<Schema>, deps: CloudDeps): CloudDriver;
}

const entry = <Schema extends z.ZodMiniType>(definition: CloudDriverEntry<Schema>) => ({
  ...definition,
  /** Parses, then creates. */
  open(raw: unknown, deps: CloudDeps): CloudDriver {
    const parsed = definition.schema.safeParse(raw);
    if (parsed.success) return definition.create(parsed.data, deps);
    const problems = describeIssues(parsed.error.issues, 'configuration');
    throw new PaasError('manifest_invalid', `the configuration of the cloud is invalid: ${problems}`);
  },
});

export const cloudDrivers = {
  speedycloud: entry({
    description: 'SpeedyCloud, and the embedded cloud of `paas up`, which speaks its API',
    schema: speedycloudConfig,
    secrets: ['apiKey', 'secretKey'],
    verified: 'against the embedded cloud; unverified against the live service',
    create: createSpeedycloud,
  }),
};

export type CloudDriverName = keyof typeof cloudDrivers;

/**
 * A driver by its name, with a configuration from outside.
 * @throws PaasError not_found (no such driver), manifest_invalid (names each wrong field, never a value)
 */
export function openCloud(name: string, config: unknown, deps: CloudDeps): CloudDriver {
  if (!Object.hasOwn(cloudDrivers, name)) {
    throw new PaasError('not_found', `there is no cloud driver ${name}`, {
      hint: `The drivers are: ${Object.keys(cloudDrivers).join(', ')}.`,
    });
  }
  return cloudDrivers[name as CloudDriverName].open(config, deps);
}
