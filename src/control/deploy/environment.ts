/** The environment that an app sees (docs: "The app's world"), pure. PORT, HOME and TMPDIR are the agent's to add. */
import type { ReleaseFacts } from '../agents/assignments.ts';
import { defaultHost } from './apps.ts';

/**
 * Config of the release over the stack's environment, then the platform's own names, which config cannot override.
 * `VCAP_*`, `CF_*` and `DYNO` let apps made for Cloud Foundry and Heroku run unchanged; `${…}`-free by design.
 */
export function appEnvironment(
  facts: ReleaseFacts,
  instance: { name: string; ordinal: number; memoryMb: number },
  domain: string,
): Record<string, string> {
  const { app, release, image, config } = facts;
  const stack = JSON.parse(image.env) as Record<string, string>;
  const index = String(instance.ordinal - 1);
  // Only the address that never changes: an environment is fixed when an instance starts, routes come and go.
  const uris = Object.hasOwn(facts.processes, 'web') ? [defaultHost(app, domain)] : [];
  return {
    ...stack,
    ...config,
    PAAS_APP_NAME: app.name,
    PAAS_PROJECT_NAME: app.project,
    PAAS_ENVIRONMENT: app.environment,
    PAAS_RELEASE: `v${release.version}`,
    PAAS_INSTANCE: instance.name,
    MEMORY_LIMIT: `${instance.memoryMb}m`,
    DYNO: instance.name,
    CF_INSTANCE_INDEX: index,
    INSTANCE_INDEX: index,
    VCAP_SERVICES: config['VCAP_SERVICES'] ?? '{}',
    VCAP_APPLICATION: JSON.stringify({
      application_id: app.id,
      application_name: app.name,
      name: app.name,
      application_version: `v${release.version}`,
      version: `v${release.version}`,
      instance_index: instance.ordinal - 1,
      instance_id: instance.name,
      organization_name: app.project,
      space_name: app.environment,
      limits: { mem: instance.memoryMb, disk: 0, fds: 16384 },
      application_uris: uris,
      uris,
    }),
  };
}
