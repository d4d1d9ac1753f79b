/** What routers do for an app, in the HTTP API: maintenance and configuration of its own for nginx. */
import * as z from 'zod/mini';
import { maxPageBytes } from '../../limits.ts';

/** GET A/maintenance; PUT A/maintenance and DELETE A/maintenance answer it with `changed`, once all routers have it. */
export const maintenanceView = z.object({
  app: z.string(),
  maintenance: z.boolean(),
  by: z.nullable(z.string()),
  since: z.nullable(z.string()),
  /** HTML; null: the routers' own page, or not in maintenance. */
  page: z.nullable(z.string()),
});
export const maintenanceChange = z.extend(maintenanceView, { changed: z.boolean() });
export type MaintenanceView = z.infer<typeof maintenanceView>;
export type MaintenanceChange = z.infer<typeof maintenanceChange>;

export const maintenanceRequest = z.object({
  page: z.optional(
    z.string().check(
      z.minLength(1),
      z.refine((text) => Buffer.byteLength(text) <= maxPageBytes, `must have at most ${maxPageBytes / 1024} KiB`),
    ),
  ),
});

/** GET A/nginx; PUT A/nginx and DELETE A/nginx answer it with `changed`, once all routers have it. */
export const nginxView = z.object({ app: z.string(), nginx: z.nullable(z.string()) });
export const nginxChange = z.extend(nginxView, { changed: z.boolean() });
export type NginxView = z.infer<typeof nginxView>;
export type NginxChange = z.infer<typeof nginxChange>;

/** A larger one is refused by shared/nginx/snippet.ts, with a reason. */
export const nginxRequest = z.object({
  nginx: z.string().check(z.maxLength(1 << 20)),
  /** Lua blocks may be in it; for owners only. */
  allowLua: z._default(z.boolean(), false),
});
