/** The router program's command line, written by the driver and read by the process. */
import { parseArgs } from 'node:util';
import * as z from 'zod/mini';
import { PaasError } from '../../shared/errors.ts';

const port = z.int().check(z.minimum(0), z.maximum(65_535));

const optionsSchema = z.object({
  directory: z.string().check(z.startsWith('/')),
  address: z.string().check(z.minLength(1)),
  port,
  /** See `running` in layout.ts. */
  settings: z.string(),
  responseTimeoutMs: z.optional(z.int().check(z.positive())),
  trustedProxies: z.readonly(z.array(z.string())),
});
export type RouterOptions = z.infer<typeof optionsSchema>;

/** @throws PaasError `usage` */
export function readOptions(argv: string[]): RouterOptions {
  try {
    const { values } = parseArgs({
      args: argv,
      options: {
        directory: { type: 'string' },
        address: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '0' },
        settings: { type: 'string', default: '' },
        'response-timeout-ms': { type: 'string' },
        trust: { type: 'string', multiple: true, default: [] },
      },
    });
    const timeout = values['response-timeout-ms'];
    return optionsSchema.parse({
      directory: values.directory,
      address: values.address,
      port: Number(values.port),
      settings: values.settings,
      ...(timeout === undefined ? {} : { responseTimeoutMs: Number(timeout) }),
      trustedProxies: values.trust,
    });
  } catch (cause) {
    throw new PaasError('usage', `the router cannot be started so: ${cause instanceof Error ? cause.message : ''}`, {
      hint: 'paas-router --directory DIR [--address A] [--port P] [--trust PROXY]… [--response-timeout-ms N]',
      cause,
    });
  }
}

/** The flags for `readOptions`. */
export function writeOptions(options: RouterOptions): string[] {
  const { directory, address, settings, responseTimeoutMs, trustedProxies } = options;
  return [
    ...['--directory', directory, '--address', address, '--port', String(options.port), '--settings', settings],
    ...(responseTimeoutMs === undefined ? [] : ['--response-timeout-ms', String(responseTimeoutMs)]),
    ...trustedProxies.flatMap((proxy) => ['--trust', proxy]),
  ];
}
