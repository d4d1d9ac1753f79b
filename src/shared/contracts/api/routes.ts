/** Routes of apps in the HTTP API (contracts/api.ts). */
import * as z from 'zod/mini';
import { routeText } from '../app-spec.ts';

/** GET A/routes; POST A/routes, DELETE A/routes with {route} */
export const routeRow = z.object({
  route: z.string(),
  url: z.string(),
  process: z.string(),
  /** Requests over plain HTTP are sent to https://. */
  https: z.boolean(),
});
export const routesResponse = z.object({ routes: z.array(routeRow) });
/** `https` of POST: absent leaves it as it is (false for a new route). */
export const routeRequest = z.object({ route: routeText, https: z.optional(z.boolean()) });
export const routeAnswer = z.object({ route: z.string(), changed: z.boolean(), warnings: z.array(z.string()) });
