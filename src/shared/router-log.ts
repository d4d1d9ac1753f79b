/**
 * Under which name the access lines of an app on a router host are shipped and stored: as the output of an instance
 * `rtr_HOST/APP/FILE`. `FILE` is new with every file, since positions are bytes of one file.
 */
const pattern = /^rtr_([^/]+)\/([^/]+)\/[^/]+$/;

export const routerLogId = (hostId: string, appId: string, file: string): string => `rtr_${hostId}/${appId}/${file}`;

/** Whose access lines they are; undefined for the id of an instance or a build. */
export function readRouterLogId(instance: string): { hostId: string; appId: string } | undefined {
  const [, hostId, appId] = pattern.exec(instance) ?? [];
  return hostId === undefined || appId === undefined ? undefined : { hostId, appId };
}
