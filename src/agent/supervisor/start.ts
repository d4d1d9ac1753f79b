/** Everything before an instance's first instruction: directory, files, user, port, limits, keeper. */
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import type { InstanceSpec } from '../../shared/contracts/instances.ts';
import { appPath } from '../facts-path.ts';
import type { LimitGroup } from '../limits/port.ts';
import { errorFields } from '../log.ts';
import type { LogSource } from '../logs/source.ts';
import { removeTree } from '../remove-tree.ts';
import { isPortFree } from '../ports.ts';
import { logFile, startKept } from '../runtimes/keeper.ts';
import type { Owner, Runtime, RuntimeSpec } from '../runtimes/port.ts';
import { ownerOf } from '../runtimes/users.ts';
import type { InstanceContext, Trees } from './context.ts';
import { cookieName } from './members.ts';
import type { InstanceRecord } from './record.ts';

/** Brings what a start needs onto this host: its base and, where `app/` is to be filled, its tree. */
export async function fetchParts(
  { image }: InstanceSpec,
  fill: boolean,
  { bases, trees }: Pick<InstanceContext, 'bases' | 'trees'>,
): Promise<void> {
  await bases.resolve(image.base);
  if (fill) await trees.ensure(image.tree);
}

/** Fills `app/` anew from a tree; on failure the instance has no `app/`. */
export async function fillApp(directory: string, spec: InstanceSpec, trees: Trees): Promise<void> {
  const owner = ownerOf(spec.app.id);
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const fresh = path.join(directory, 'app.new');
  await removeApp(directory);
  await trees.materialise(spec.image.tree, fresh, owner ?? undefined);
  makePrivate(fresh, owner);
  renameSync(fresh, path.join(directory, 'app'));
}

/** What the runtime needs to know of an instance. Also for commands inside it: nothing in it changes after the start. */
export async function runtimeSpec(
  directory: string,
  { spec, port }: { spec: InstanceSpec; port: number | null },
  context: Pick<InstanceContext, 'address' | 'bases'>,
  visible: Readonly<Record<string, string>>,
): Promise<RuntimeSpec> {
  const owner = ownerOf(spec.app.id);
  const ports = port === null ? {} : { PORT: String(port), CF_INSTANCE_PORT: String(port) };
  return {
    directory,
    hostname: hostName(spec),
    base: await context.bases.resolve(spec.image.base),
    owner,
    env: {
      PATH: appPath(process.env.PATH, owner !== null),
      LANG: 'C.UTF-8',
      USER: 'app',
      ...spec.env,
      ...ports,
      CF_INSTANCE_IP: context.address,
      CF_INSTANCE_ADDR: port === null ? context.address : `${context.address}:${port}`,
      [cookieName]: spec.id,
    },
    // The agent's own data, should it lie below a system directory.
    hidden: [path.dirname(path.dirname(directory))],
    cgroups: visible,
  };
}

/** The port of the next start: the one that it had, if that is free; null where it needs none. */
export async function portFor(
  { spec, port }: Pick<InstanceRecord, 'spec' | 'port'>,
  context: Pick<InstanceContext, 'choosePort'>,
): Promise<number | null> {
  if (spec.kind !== 'web' && spec.kind !== 'service') return null;
  return port !== null && (await isPortFree(port)) ? port : context.choosePort();
}

/** Starts the app under a keeper. */
export async function startApp(
  spec: RuntimeSpec,
  command: string,
  options: { runtime: Runtime; group: LimitGroup; scripts: string },
): Promise<void> {
  makeTemporary(spec);
  await startKept(spec.directory, options.runtime.start(spec, command), {
    owner: spec.owner,
    join: options.group.join,
    scriptDirectory: options.scripts,
  });
}

/** Removes what only a running instance needs; its logs stay. */
export async function removeApp(directory: string): Promise<void> {
  for (const name of ['app', 'app.new', 'tmp']) {
    await removeTree(path.join(directory, name));
  }
}

/** Lets an instance's output be sent from now on. On a full disk not yet: its next start does it again, or says so. */
export function followLogs(
  directory: string,
  spec: InstanceSpec,
  context: Pick<InstanceContext, 'logs' | 'log'>,
): void {
  try {
    context.logs.add(openLogs(directory, spec));
  } catch (error) {
    context.log.error('logs cannot be opened', { instance: spec.id, ...errorFields(error) });
  }
}

/** Makes the directory for an instance's output; what is in it, and how it is labelled. */
function openLogs(directory: string, spec: InstanceSpec): LogSource {
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  mkdirSync(path.join(directory, 'logs'), { recursive: true, mode: 0o700 });
  return {
    instance: spec.id,
    name: spec.name,
    appId: spec.app.id,
    processType: spec.processType,
    release: spec.release,
    source: 'app',
    files: { stdout: logFile(directory, 'stdout'), stderr: logFile(directory, 'stderr') },
  };
}

/** `web.3` of app `shop` as a host name: `shop-web-3`, at most 63 characters. */
function hostName(spec: InstanceSpec): string {
  return `${spec.app.name}-${spec.name}`
    .replaceAll(/[^a-z0-9-]/g, '-')
    .slice(-63)
    .replace(/^-+/, '');
}

/** The directory for TMPDIR, where the runtime has no `/tmp` of its own. */
export function makeTemporary(spec: Pick<RuntimeSpec, 'directory' | 'owner'>): void {
  const temporary = path.join(spec.directory, 'tmp');
  if (!existsSync(temporary)) mkdirSync(temporary);
  makePrivate(temporary, spec.owner);
}

function makePrivate(directory: string, owner: Owner): void {
  chmodSync(directory, 0o700);
  if (owner !== null) chownSync(directory, owner.uid, owner.gid);
}
