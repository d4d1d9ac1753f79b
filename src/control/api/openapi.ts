import * as z from 'zod/mini';
import { errorResponse } from '../../shared/contracts/api.ts';
import { version } from '../../shared/version.ts';
import type { Endpoint } from './define.ts';

const schemaOf = (schema: z.ZodMiniType, io: 'input' | 'output'): unknown =>
  z.toJSONSchema(schema, { io, unrepresentable: 'any' });

/** The OpenAPI 3.1 description, made from the endpoints' own schemas. */
export function openapi(endpoints: readonly Endpoint[]): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replaceAll(/:([a-z]+)/gi, '{$1}');
    const parameters = [...endpoint.path.matchAll(/:([a-z]+)/gi)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    }));
    const content = (schema: unknown) => ({ content: { 'application/json': { schema } } });
    (paths[path] ??= {})[endpoint.method.toLowerCase()] = {
      summary: endpoint.summary,
      'x-role': endpoint.role,
      parameters,
      ...(endpoint.body ? { requestBody: { required: true, ...content(schemaOf(endpoint.body, 'input')) } } : {}),
      ...(endpoint.raw === true
        ? {
            requestBody: {
              required: true,
              content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
            },
          }
        : {}),
      responses: {
        [String(endpoint.status ?? 200)]: {
          description: 'ok',
          ...(endpoint.response ? content(schemaOf(endpoint.response, 'output')) : {}),
        },
        default: { description: 'an error of docs/errors.md', ...content(schemaOf(errorResponse, 'output')) },
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'paas', version },
    components: {
      securitySchemes: {
        signature: {
          type: 'http',
          scheme: 'signature',
          description: 'RFC 9421 HTTP Message Signatures, hmac-sha256, tag "paas"',
        },
      },
    },
    security: [{ signature: [] }],
    paths,
  };
}
