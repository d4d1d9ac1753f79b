/** Which platform, project and environment the CLI talks to: environment variables, else `PAAS_HOME/target.json`. */
import { mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { writeDurably } from '../../shared/files.ts';
import { assertUrlAllowed, normalizeUrl } from './url.ts';

/** A platform that was logged in to. */
export interface SavedPlatform {
  url: string;
  keyId: string;
  keySecret: string;
  /** The user accepted plain http to another machine. */
  allowHttp?: boolean;
  /** PEM of the authority to trust, when the certificate is not from a public one. */
  ca?: string;
  /** What `paas target` chose there. */
  project?: string;
  environment?: string;
}

export interface Targets {
  /** URL of the platform in use. */
  current: string | null;
  platforms: SavedPlatform[];
}

export interface Target extends SavedPlatform {
  project: string;
  environment: string;
  /** Where the platform and its key were found, for `paas target`. */
  from: 'environment' | 'file';
}

type Environment = Record<string, string | undefined>;

/** `PAAS_HOME`, else `~/.paas`. */
export function paasHome(env: Environment = process.env): string {
  return env['PAAS_HOME'] || join(homedir(), '.paas');
}

/**
 * The platform to talk to, with project and environment (`PAAS_PROJECT`, `PAAS_ENV`, the saved ones, `default`, `dev`).
 * Throws `not_authenticated` when there is none, `usage` when the variables contradict, `not_allowed` for plain http to
 * another machine that was not allowed (`PAAS_ALLOW_HTTP=1`, or `paas login`).
 */
export function currentTarget(env: Environment = process.env): Target {
  const platform = platformFromEnvironment(env) ?? savedCurrent(env);
  assertUrlAllowed(platform.url, platform.allowHttp === true || env['PAAS_ALLOW_HTTP'] === '1');
  return {
    ...platform,
    project: env['PAAS_PROJECT'] || platform.project || 'default',
    environment: env['PAAS_ENV'] || platform.environment || 'dev',
  };
}

function platformFromEnvironment(env: Environment): (SavedPlatform & { from: 'environment' | 'file' }) | null {
  const { PAAS_URL: url, PAAS_KEY_ID: keyId, PAAS_KEY_SECRET: keySecret } = env;
  if (!url) {
    if (!keyId && !keySecret) return null;
    throw new PaasError('usage', 'PAAS_KEY_ID or PAAS_KEY_SECRET is set, but PAAS_URL is not', {
      hint: 'Set all three of PAAS_URL, PAAS_KEY_ID and PAAS_KEY_SECRET, or none.',
    });
  }
  const normal = normalizeUrl(url);
  if (keyId && keySecret) return { url: normal, keyId, keySecret, from: 'environment' };
  if (keyId || keySecret) {
    const missing = keyId ? 'PAAS_KEY_SECRET' : 'PAAS_KEY_ID';
    throw new PaasError('not_authenticated', `PAAS_URL is set, but ${missing} is not`, { hint: `Set ${missing} too.` });
  }
  const saved = readTargets(paasHome(env)).platforms.find((platform) => platform.url === normal);
  if (saved) return { ...saved, from: 'file' };
  throw new PaasError('not_authenticated', `no key is known for ${normal}, which PAAS_URL names`, {
    hint: `Set PAAS_KEY_ID and PAAS_KEY_SECRET, or run \`paas login ${normal}\`.`,
  });
}

function savedCurrent(env: Environment): SavedPlatform & { from: 'file' } {
  const { current, platforms } = readTargets(paasHome(env));
  const platform = platforms.find(({ url }) => url === current);
  if (platform) return { ...platform, from: 'file' };
  throw new PaasError('not_authenticated', 'no platform is chosen', {
    hint: 'Run `paas up` to start one on this machine, or `paas login URL`; in a script set PAAS_URL, PAAS_KEY_ID and PAAS_KEY_SECRET.',
  });
}

/** What is saved. Throws `corrupt` naming the file. */
export function readTargets(home: string): Targets {
  const path = targetFile(home);
  try {
    return parseTargets(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return { current: null, platforms: [] };
    if (errnoOf(cause) !== undefined) throw cause;
    throw new PaasError('corrupt', `${path} cannot be read: it is damaged, or from another version`, {
      hint: 'Remove it, then run `paas up` or `paas login URL` again.',
      cause,
    });
  }
}

/** Adds or replaces a platform and makes it the current one. What `paas target` chose for it before is kept. */
export function savePlatform(home: string, platform: SavedPlatform): void {
  change(home, (targets) => {
    const url = normalizeUrl(platform.url);
    const before = targets.platforms.find((other) => other.url === url);
    const { project, environment } = before ?? {};
    const kept = { ...(project ? { project } : {}), ...(environment ? { environment } : {}) };
    const others = targets.platforms.filter((other) => other.url !== url);
    return { current: url, platforms: [...others, { ...kept, ...platform, url }] };
  });
}

/** Makes a saved platform the current one. Throws `not_found`. */
export function choosePlatform(home: string, url: string): void {
  change(home, (targets) => ({ ...targets, current: found(targets, normalizeUrl(url)).url }));
}

/** Saves the project and environment to use on a platform. Throws `not_found`. */
export function saveScope(home: string, url: string, scope: { project?: string; environment?: string }): void {
  change(home, (targets) => {
    const platform = found(targets, normalizeUrl(url));
    const platforms = targets.platforms.map((other) => (other === platform ? { ...other, ...scope } : other));
    return { ...targets, platforms };
  });
}

/** Forgets a platform and its key; says whether it was known. */
export function forgetPlatform(home: string, url: string): boolean {
  const normal = normalizeUrl(url);
  const isKnown = readTargets(home).platforms.some((platform) => platform.url === normal);
  if (isKnown) {
    change(home, ({ current, platforms }) => ({
      current: current === normal ? null : current,
      platforms: platforms.filter((platform) => platform.url !== normal),
    }));
  }
  return isKnown;
}

function targetFile(home: string): string {
  return join(home, 'target.json');
}

function found(targets: Targets, url: string): SavedPlatform {
  const platform = targets.platforms.find((other) => other.url === url);
  if (platform) return platform;
  const known = targets.platforms.map((other) => other.url).join(', ') || 'none';
  throw new PaasError('not_found', `${url} was not logged in to`, {
    hint: `Known: ${known}. Run \`paas login ${url}\`.`,
  });
}

function change(home: string, edit: (targets: Targets) => Targets): void {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const next = edit(readTargets(home));
  writeDurably(targetFile(home), JSON.stringify({ version: 1, ...next }, null, 2) + '\n', 0o600);
}

/** By hand, since a schema library would add more to the start of every command than the command itself takes. */
function parseTargets(value: unknown): Targets {
  const file = record(value);
  if (file['version'] !== 1 || !Array.isArray(file['platforms'])) throw new TypeError('not a list of targets');
  const platforms = file['platforms'].map((item): SavedPlatform => {
    const { url, keyId, keySecret, allowHttp, ca, project, environment } = record(item);
    return {
      url: normalizeUrl(text(url)),
      keyId: text(keyId),
      keySecret: text(keySecret),
      ...(allowHttp === true ? { allowHttp } : {}),
      ...(ca === undefined ? {} : { ca: text(ca) }),
      ...(project === undefined ? {} : { project: text(project) }),
      ...(environment === undefined ? {} : { environment: text(environment) }),
    };
  });
  return { current: typeof file['current'] === 'string' ? file['current'] : null, platforms };
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new TypeError('not an object');
  return value as Record<string, unknown>;
}

function text(value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new TypeError('not a text');
  return value;
}
