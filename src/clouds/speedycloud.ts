/**
 * Driver for SpeedyCloud, and for the embedded cloud, which speaks the same API.
 *
 * Hosts are marked by one tag, `paas/<platform>/<token>`. The live API takes no tag at provision: it is sent all the
 * same (the embedded cloud takes it), and set by a call of its own where the answer does not show it. Against a crash
 * between the two calls the same mark stands as a comment in the boot script, which the detail of a host gives back.
 *
 * Derived from the provider's documents and SDK but unverified against the live service: both auth modes, the words of
 * its error texts, and the shape of its zones.
 */
import type { SpeedyHost } from '../shared/contracts/speedycloud.ts';
import { PaasError } from '../shared/errors.ts';
import { systemClock, type CloudDeps, type CloudDriver, type CloudHost, type CreateHost } from './port.ts';
import { createApi, type HostAction, type SpeedycloudConfig } from './speedycloud/api.ts';
import { hasPower, isBusy, normaliseState } from './speedycloud/words.ts';

export { speedycloudConfig } from './speedycloud/api.ts';

export function createSpeedycloud(config: SpeedycloudConfig, deps: CloudDeps): CloudDriver {
  const clock = deps.clock ?? systemClock;
  const api = createApi(config, deps);
  const prefix = `paas/${deps.platform}/`;

  /** The token in the tags of a host of this platform; undefined for hosts that are not. */
  function tokenOf(tags: string | null | undefined): string | undefined {
    const own = (tags ?? '').split(',').find((tag) => tag.trim().startsWith(prefix));
    return own?.trim().slice(prefix.length);
  }

  const ownHosts = async () => (await api.hosts()).filter((host) => tokenOf(host.tags) !== undefined);

  async function translate(host: SpeedyHost, token = tokenOf(host.tags)): Promise<CloudHost> {
    const id = String(host.id);
    // Only its jobs tell a host that is being stopped from one that runs; it may be gone by the time they are asked for.
    const jobs = host.has_running_job === true ? ((await api.jobs(id)) ?? []) : [];
    return {
      id,
      ...(token === undefined ? {} : { token }),
      name: host.alias || host.name,
      state: normaliseState(host.status, jobs),
      rawState: host.status,
      addresses: host.ips ?? [],
      createdAt: isoDate(host.created_at),
    };
  }

  async function get(id: string): Promise<CloudHost | null> {
    const host = await api.host(id);
    return host ? translate(host) : null;
  }

  /** Sets tag and alias where provision did not take them. The host exists by now: a failure is told, not thrown. */
  async function label(id: string, tag: string, alias: string): Promise<string | undefined> {
    try {
      await api.tag(id, tag);
      await api.alias(id, alias);
      return undefined;
    } catch (error) {
      return `host ${id} exists but could not be tagged: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  /** Hosts without any tag whose boot script carries the mark: their creator died before it could tag them. */
  async function untaggedWith(token: string, all: SpeedyHost[]): Promise<CloudHost[]> {
    const found: CloudHost[] = [];
    for (const { id } of all.filter((host) => !host.tags)) {
      const host = await api.host(String(id));
      if (!host?.bootscript?.split('\n').includes(`# ${prefix}${token}`)) continue;
      const warning = await label(String(id), prefix + token, host.alias ?? '');
      const translated = await translate(host, token);
      found.push(warning === undefined ? translated : { ...translated, warning });
    }
    return found;
  }

  /** Waits until no job of the host is under way. */
  async function settle(id: string): Promise<void> {
    const deadline = clock.now() + config.jobTimeoutMs;
    for (let pause = 50; ; pause = Math.min(2_000, pause * 1.5)) {
      const busy = ((await api.jobs(id)) ?? []).find(isBusy);
      if (!busy) return;
      if (clock.now() >= deadline) {
        throw new PaasError('timeout', `waited ${config.jobTimeoutMs / 1000} s for job ${busy.name} of host ${id}`);
      }
      await clock.sleep(pause);
    }
  }

  /**
   * Does `action` unless the host `isThere` already. A host with a job under way refuses every other action: that job
   * is waited for, and the state looked at again.
   */
  async function bring(
    id: string,
    action: (host: CloudHost) => HostAction,
    isThere: (host: CloudHost) => boolean,
  ): Promise<void> {
    for (let last = false; ; last = true) {
      const host = await get(id);
      if (!host) throw new PaasError('cloud_not_found', `SpeedyCloud knows no host ${id}`);
      if (isThere(host)) return;
      try {
        await api.act(id, action(host));
        return;
      } catch (error) {
        if (last || !isCode(error, 'conflict')) throw error;
        await settle(id);
      }
    }
  }

  const isOn = ({ state }: CloudHost) => state === 'running' || state === 'pending';
  const isOff = ({ state }: CloudHost) => !hasPower(state) || state === 'stopping';
  const isSuspended = ({ rawState }: CloudHost) => rawState.toLowerCase() === 'suspended';
  const stop = (id: string) => bring(id, () => 'stop', isOff);
  const start = (id: string) => bring(id, (host) => (isSuspended(host) ? 'resume' : 'start'), isOn);

  /** One attempt to remove a host. Throws `conflict` when somebody starts it meanwhile, or a job comes in between. */
  async function remove(id: string): Promise<void> {
    const host = await get(id);
    if (!host || host.state === 'deleting' || host.state === 'gone') return;
    if (hasPower(host.state)) await stop(id);
    await settle(id);
    await api.act(id, 'destroy');
  }

  return {
    get,
    start,
    stop,
    async check() {
      const hosts = (await ownHosts()).length;
      const [images, zones] = [await api.images(), await api.zones()];
      const clockOffsetMs = api.clockOffsetMs();
      const problems: string[] = [];
      if (!images.includes(config.image)) problems.push(`There is no image ${config.image}.`);
      if (!zones.includes(config.zone)) problems.push(`There is no zone ${config.zone}.`);
      if (Math.abs(clockOffsetMs) > 60_000) {
        problems.push(`The clocks differ by ${Math.round(clockOffsetMs / 1000)} s: set the clock of this machine.`);
      }
      return { clockOffsetMs, hosts, zones, images, quota: null, problems };
    },
    async create(request) {
      const form = provisionForm(config, request, prefix + request.token);
      const made = await api.provision(form);
      const id = String(made.id);
      const created: CloudHost = {
        id,
        name: request.name,
        state: 'pending',
        rawState: 'Provisioning',
        addresses: [],
        createdAt: new Date(clock.now()).toISOString(),
      };
      const isTagged = tokenOf(made.tags) === request.token;
      const warning = isTagged ? undefined : await label(id, form['tag'] ?? '', request.name);
      return warning === undefined ? { ...created, token: request.token } : { ...created, warning };
    },
    async findByToken(token) {
      const all = await api.hosts();
      const tagged = all.filter((host) => tokenOf(host.tags) === token);
      return tagged.length > 0 ? Promise.all(tagged.map((host) => translate(host))) : untaggedWith(token, all);
    },
    async list() {
      return Promise.all((await ownHosts()).map((host) => translate(host)));
    },
    async restart(id) {
      const host = await get(id);
      if (host?.state === 'stopped') return start(id);
      await bring(
        id,
        () => 'restart',
        () => false,
      );
    },
    async destroy(id) {
      const deadline = clock.now() + config.jobTimeoutMs;
      for (;;) {
        try {
          await remove(id);
          return;
        } catch (error) {
          if (isCode(error, 'cloud_not_found')) return;
          if (!isCode(error, 'conflict') || clock.now() >= deadline) throw error;
          await clock.sleep(500);
        }
      }
    },
  };
}

function provisionForm(config: SpeedycloudConfig, request: CreateHost, mark: string): Record<string, string> {
  const labels = Object.entries(request.tags ?? {}).map(([key, value]) => `${key}=${value}`);
  const sshKeys = request.sshKeys ?? config.sshKeys;
  // Only a script can carry a comment; other user-data (JSON for an image with the agent in it) stays as it is.
  const isScript = request.userData.startsWith('#');
  return {
    az: request.zone ?? config.zone,
    isp: config.isp,
    image: request.image ?? config.image,
    cpu: String(Math.max(1, Math.ceil(request.cpu))),
    memory: String(request.memoryMb),
    disk: String(request.diskGb ?? config.diskGb),
    bandwidth: String(config.bandwidth),
    bootscript: isScript ? `${request.userData.trimEnd()}\n# ${mark}\n` : request.userData,
    tag: [mark, ...labels].join(','),
    alias: request.name,
    ...(config.diskType === undefined ? {} : { disk_type: config.diskType }),
    ...(sshKeys.length === 0 ? {} : { sshkeys: sshKeys.join(',') }),
    ...(config.networks.length === 0 ? {} : { networks: config.networks.join(',') }),
  };
}

function isCode(error: unknown, code: PaasError['code']): boolean {
  return error instanceof PaasError && error.code === code;
}

function isoDate(text: string | null | undefined): string {
  const time = Date.parse(text ?? '');
  return Number.isNaN(time) ? '' : new Date(time).toISOString();
}
