/** What a control plane is started with, and the policies that do not change while it runs. */

export interface Settings {
  dataDir: string;
  /** `postgres://…`, or null for the embedded store in the data directory. */
  databaseUrl: string | null;
  listen: { host: string; port: number };
  /** Files of certificate and key, or null for plain HTTP (loopback only). */
  tls: { cert: string; key: string; ca?: string | undefined } | null;
  /** How agents and the CLI reach this server; null: derived from `listen` once the port is known. */
  publicUrl: string | null;
  /** Domain of the apps' addresses. */
  domain: string;
  router: RouterSettings;
  acme: AcmeSettings;
  cluster: ClusterSettings;
  cloud: { name: string; driver: string; config: Record<string, unknown> } | null;
  /** Directory of the built programs (static-server.js …) */
  assets: string;
  timing: Timing;
}

export interface RouterSettings {
  driver: string;
  address: string;
  port: number;
  /** Where routers listen for TLS once there is a certificate; absent: nowhere. */
  tlsPort?: number | undefined;
  /** Path, on the router hosts, of a MaxMind database that tells where clients are. */
  regions?: string | undefined;
}

/** The authority that issues certificates (RFC 8555). */
export interface AcmeSettings {
  /** URL of its directory. */
  directory: string;
  /** Where it writes to. */
  email: string | null;
  termsOfServiceAgreed: boolean;
  /** File (PEM) of its CA, where that is not a public one. */
  ca?: string | undefined;
}

export const defaultAcme: AcmeSettings = {
  directory: 'https://acme-v02.api.letsencrypt.org/directory',
  email: null,
  termsOfServiceAgreed: false,
};

export interface ClusterSettings {
  maxHosts: number;
  hostCpu: number;
  hostMemoryMb: number;
  graceMs: number;
  runtime: 'auto' | 'process' | 'sandbox';
  tcpPorts: { from: number; to: number };
}

/** Milliseconds. Tests shorten them; nothing depends on their values but the speed of reactions. */
export interface Timing {
  heartbeat: number;
  /** No message for so long: the host is unreachable. */
  silence: number;
  /** No host is declared lost within this time after the server's start. */
  startGrace: number;
  /** A host that its cloud calls running is lost only after so long a silence. */
  lostGrace: number;
  /** A host that has not enrolled so long after its creation is replaced. */
  bootTimeout: number;
  /** Open requests of a leaving instance are waited for so long. */
  drain: number;
  lease: number;
  /** Changes that are answered when the routers have them (maintenance) wait for that so long. */
  routed: number;
  tick: number;
}

export const defaultTiming: Timing = {
  heartbeat: 3000,
  silence: 7000,
  startGrace: 10_000,
  lostGrace: 300_000,
  bootTimeout: 120_000,
  drain: 30_000,
  lease: 10_000,
  routed: 15_000,
  tick: 1000,
};

export const defaultCluster: ClusterSettings = {
  maxHosts: 4,
  hostCpu: 2,
  hostMemoryMb: 4096,
  graceMs: 10_000,
  runtime: 'auto',
  tcpPorts: { from: 20_000, to: 20_999 },
};
