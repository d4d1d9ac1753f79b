/** The control plane's configuration file: made at the first `up`, changed by flags of later ones. */
import * as z from 'zod/mini';
import { PaasError } from '../../shared/errors.ts';
import { readJsonFile, writeDurably } from '../../shared/files.ts';
import { newId, newSecret } from '../../shared/ids.ts';
import type { PlatformFiles } from './files.ts';
import { choosePort, isPortFree } from './ports.ts';

/** What of it `up` reads; the rest (set by hand, or by a later version) is kept as it is. */
const configFile = z.looseObject({
  dataDir: z.string(),
  listen: z.object({ host: z.string(), port: z.int() }),
  router: z.looseObject({ driver: z.string(), address: z.string(), port: z.int(), tlsPort: z.optional(z.int()) }),
  cluster: z.optional(z.looseObject({})),
  cloud: z.optional(z.looseObject({})),
  adminKey: z.object({ id: z.string(), secret: z.string() }),
});
export type PlatformConfig = z.infer<typeof configFile>;

export interface UpWish {
  /** 0: any free one. */
  port: number | undefined;
  routerPort: number | undefined;
  /** The router's driver. */
  router?: string | undefined;
  /** Where the router listens for TLS once there is a certificate. */
  tlsPort: number | undefined;
  maxHosts: number | undefined;
  hostMemoryMb: number | undefined;
  hostCpu: number | undefined;
  /** Path of a region database; null: none any more. */
  regions?: string | null | undefined;
}

/** @throws PaasError corrupt */
export function readPlatformConfig(files: PlatformFiles): PlatformConfig | undefined {
  return readJsonFile(files.config, configFile);
}

export function writePlatformConfig(files: PlatformFiles, config: PlatformConfig): void {
  writeDurably(files.config, JSON.stringify(config, null, 2) + '\n', 0o600);
}

const host = '127.0.0.1';

/**
 * The configuration for an `up`: the present one with the flags laid over it, or a new one.
 * @throws PaasError conflict when a port is taken, or when a flag contradicts what the platform was made with
 */
export async function configFor(
  present: PlatformConfig | undefined,
  files: PlatformFiles,
  wish: UpWish,
): Promise<PlatformConfig> {
  const base = present ?? (await newConfig(files, wish));
  keeps(wish.port, base.listen.port, '--port');
  keeps(wish.routerPort, base.router.port, '--router-port');
  keepsDriver(wish.router, base.router.driver);
  keeps(wish.tlsPort, base.router.tlsPort, '--tls-port');
  const { maxHosts, hostMemoryMb, hostCpu } = wish;
  const cluster = { ...base.cluster, ...given({ maxHosts, hostMemoryMb, hostCpu }) };
  return { ...base, router: withRegions(base.router, wish.regions), cluster };
}

function withRegions(router: PlatformConfig['router'], wish: UpWish['regions']): PlatformConfig['router'] {
  if (wish === undefined) return router;
  if (wish !== null) return { ...router, regions: wish };
  const { regions: _, ...rest } = router;
  return rest;
}

async function newConfig(files: PlatformFiles, wish: UpWish): Promise<PlatformConfig> {
  const port = await portFor(wish.port, 7070, '--port', 'the control plane', []);
  const routerPort = await portFor(wish.routerPort, 8080, '--router-port', 'the router', [port]);
  const tlsPort = await tlsPortFor(wish, [port, routerPort]);
  return {
    dataDir: files.server,
    listen: { host, port },
    router: { driver: wish.router ?? 'embedded', address: host, port: routerPort, tlsPort },
    adminKey: { id: newId('key'), secret: newSecret() },
  };
}

/** The usual one where it is free: nobody is to be kept from starting by a port that is needed only with a certificate. */
async function tlsPortFor({ tlsPort, routerPort }: UpWish, taken: number[]): Promise<number> {
  if (tlsPort !== undefined) return portFor(tlsPort, tlsPort, '--tls-port', "the router's TLS", taken);
  const usual = 8443;
  const isFree = routerPort !== 0 && !taken.includes(usual) && (await isPortFree(host, usual));
  return isFree ? usual : choosePort(host, taken);
}

/** Hosts and agents know these addresses, so they stay for as long as the platform's data do. */
function keeps(wanted: number | undefined, present: number | undefined, flag: string): void {
  if (wanted === undefined || wanted === 0 || wanted === present) return;
  const made = present === undefined ? `without ${flag}` : `with ${flag} ${present}`;
  throw new PaasError('conflict', `The platform of this machine was made ${made}; it keeps its ports.`, {
    hint: 'Leave the flag out, take another PAAS_HOME, or start anew (all apps are removed): `paas down --purge`.',
  });
}

/** Its hosts were made for it. */
function keepsDriver(wanted: string | undefined, present: string): void {
  if (wanted === undefined || wanted === present) return;
  throw new PaasError('conflict', `The platform of this machine was made with the router ${present}; it keeps it.`, {
    hint: 'Leave --router out, take another PAAS_HOME, or start anew (all apps are removed): `paas down --purge`.',
  });
}

async function portFor(
  wanted: number | undefined,
  standard: number,
  flag: string,
  what: string,
  taken: number[],
): Promise<number> {
  if (wanted === 0) return choosePort(host, taken);
  const port = wanted ?? standard;
  if (!taken.includes(port) && (await isPortFree(host, port))) return port;
  throw portTaken(port, flag, what);
}

export function portTaken(port: number, flag: string, what: string): PaasError {
  return new PaasError('conflict', `Port ${port} for ${what} is taken by another program.`, {
    hint: `Choose another one: \`paas up ${flag} N\`; 0 takes any free one.`,
    details: { port },
  });
}

function given<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
