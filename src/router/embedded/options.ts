/** The router program's command line, written by the driver and read by the process. */
import { parseArgs } from 'node:util';
import * as z from 'zod/mini';
import { PaasError } from '../../shared/errors.ts';

const port = z.int().check(z.minimum(0), z.maximum(65_535));

const optionsSchema = z.object({
  directory: z.string().check(z.startsWith('/')),
  address: z.string().check(z.minLength(1)),
  port,
  /** Where it listens for TLS while the table has certificates; absent: nowhere. */
  tlsPort: z.optional(port),
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
        'tls-port': { type: 'string' },
        settings: { type: 'string', default: '' },
        'response-timeout-ms': { type: 'string' },
        trust: { type: 'string', multiple: true, default: [] },
      },
    });
    const timeout = values['response-timeout-ms'];
    const tlsPort = values['tls-port'];
    return optionsSchema.parse({
      directory: values.directory,
      address: values.address,
      port: Number(values.port),
      ...(tlsPort === undefined ? {} : { tlsPort: Number(tlsPort) }),
      settings: values.settings,
      ...(timeout === undefined ? {} : { responseTimeoutMs: Number(timeout) }),
      trustedProxies: values.trust,
    });
  } catch (cause) {
    throw new PaasError('usage', `the router cannot be started so: ${cause instanceof Error ? cause.message : ''}`, {
      hint: 'paas-router --directory DIR [--address A] [--port P] [--tls-port P] [--trust PROXY]… [--response-timeout-ms N]',
      cause,
    });
  }
}

/** The flags for `readOptions`. */
export function writeOptions(options: RouterOptions): string[] {
  const { directory, address, tlsPort, settings, responseTimeoutMs, trustedProxies } = options;
  return [
    ...['--directory', directory, '--address', address, '--port', String(options.port), '--settings', settings],
    ...(tlsPort === undefined ? [] : ['--tls-port', String(tlsPort)]),
    ...(responseTimeoutMs === undefined ? [] : ['--response-timeout-ms', String(responseTimeoutMs)]),
    ...trustedProxies.flatMap((proxy) => ['--trust', proxy]),
  ];
}
