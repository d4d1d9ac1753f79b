/**
 * The HTTP API between CLI and control plane. Every request is signed (shared/signing); every change carries an
 * Idempotency-Key. Paths are in `docs/api.md`, generated with /openapi.json from control/api.
 *
 * App paths begin with /v1/projects/:project/environments/:environment/apps/:app (below: A).
 */
import * as z from 'zod/mini';

const role = z.enum(['owner', 'developer', 'viewer']);

export * from './api/apps.ts';
export * from './api/certificates.ts';
export * from './api/gray.ts';
export * from './api/operations.ts';
export * from './api/routes.ts';
export * from './api/rollouts.ts';
export * from './api/router.ts';
export {
  errorResponse,
  missingRequest,
  missingResponse,
  uploadRequest,
  uploadResponse,
  uploadStatus,
} from './transfer.ts';

/* ---- platform ---- */

/** GET /v1/status */
export const statusResponse = z.object({
  server: z.object({ url: z.string(), version: z.string(), state: z.string() }),
  router: z.object({
    url: z.nullable(z.string()),
    /** Where it listens for TLS, while it does. */
    tlsUrl: z.nullable(z.string()),
    driver: z.string(),
    tableVersion: z.int(),
  }),
  cloud: z.object({ driver: z.string() }),
  hosts: z.object({ total: z.int(), ready: z.int() }),
  apps: z.object({ total: z.int(), healthy: z.int() }),
  certificates: z.object({ total: z.int(), valid: z.int() }),
  warnings: z.array(z.string()),
});
export type StatusResponse = z.infer<typeof statusResponse>;

/** GET /v1/whoami */
export const whoamiResponse = z.object({ principal: z.string(), keyId: z.string(), role });
export type WhoamiResponse = z.infer<typeof whoamiResponse>;

/* ---- source upload: POST /v1/missing, POST /v1/uploads, PUT /v1/uploads/:id?offset=N, GET /v1/uploads/:id,
        POST /v1/uploads/:id/finish ---- */
