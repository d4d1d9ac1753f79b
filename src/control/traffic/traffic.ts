/**
 * What each release of each app has answered since this control plane began, by the word of its routers. In memory only:
 * these are measurements, not state.
 *
 *   router's counters (from 0 in each life of it) ─► what came since its last word ─► sums, which only grow
 *
 * A router's first word since the control plane began says where its counters stand, and counts nothing.
 */
import type { RouterTraffic, TrafficCount } from '../../shared/contracts/routes.ts';
import { add, difference, noCounts, requestsOf, wentBack, type Counts } from './counts.ts';

interface HostState {
  epoch: string;
  last: Map<string, TrafficCount & { at: number }>;
  /** Forgotten since nothing came for long; their next word says where they stand, and counts nothing. */
  forgotten: Set<string>;
}

interface Mark {
  at: number;
  counts: Counts;
}

interface Entry {
  appId: string;
  release: number;
  total: Counts;
  changedAt: number;
  /** Sums at the beginning of minutes in which something came, oldest first; enough of them to look back `recentMs`. */
  marks: Mark[];
}

export interface ReleaseTraffic {
  release: number;
  /** What came lately. */
  counts: Counts;
  /** Under way now. */
  open: number;
}

/** `recent` looks back so far, to the minute. */
const recentMs = 5 * 60_000;
const markMs = 60_000;
/** A release without a request for so long is forgotten. */
const forgetMs = 60 * 60_000;

const keyOf = (appId: string, release: number): string => `${appId}/${release}`;

export class Traffic {
  readonly #startedAt: number;
  readonly #hosts = new Map<string, HostState>();
  readonly #entries = new Map<string, Entry>();

  constructor(startedAt = Date.now()) {
    this.#startedAt = startedAt;
  }

  /** Takes a router's word up. Answers the apps that had requests. */
  report(hostId: string, traffic: RouterTraffic, now = Date.now()): Set<string> {
    const host = this.#hosts.get(hostId);
    const apps = new Set<string>();
    if (!host) {
      const last = new Map(traffic.counts.map((count) => [keyOf(count.appId, count.release), { ...count, at: now }]));
      this.#hosts.set(hostId, { epoch: traffic.epoch, last, forgotten: new Set() });
      return apps;
    }
    if (host.epoch !== traffic.epoch)
      Object.assign(host, { epoch: traffic.epoch, last: new Map(), forgotten: new Set() });
    for (const count of traffic.counts) {
      const key = keyOf(count.appId, count.release);
      const before = host.last.get(key) ?? noCounts;
      host.last.set(key, { ...count, at: now });
      if (host.forgotten.delete(key)) continue;
      const came = wentBack(count, before) ? count : difference(count, before);
      if (requestsOf(came) === 0) continue;
      this.#count(key, count, came, now);
      apps.add(count.appId);
    }
    return apps;
  }

  #count(key: string, { appId, release }: TrafficCount, came: Counts, now: number): void {
    const entry = this.#entries.get(key) ?? { appId, release, total: noCounts, changedAt: now, marks: [] };
    this.#entries.set(key, entry);
    const newest = entry.marks.at(-1);
    if (!newest || now - newest.at >= markMs) {
      entry.marks.push({ at: now, counts: entry.total });
      while (entry.marks[1] && now - entry.marks[1].at > recentMs) entry.marks.shift();
    }
    entry.total = add(entry.total, came);
    entry.changedAt = now;
  }

  /** All that a release has answered since this control plane began; it only grows, until it is forgotten. */
  total(appId: string, release: number): Counts {
    return this.#entries.get(keyOf(appId, release))?.total ?? noCounts;
  }

  /** What an app's releases answered lately, and since when that is (ms since 1970). Releases without any are left out. */
  recent(appId: string, now = Date.now()): { since: number; releases: ReleaseTraffic[] } {
    const since = Math.max(this.#startedAt, now - recentMs);
    const found = new Map<number, ReleaseTraffic>();
    for (const entry of this.#entries.values()) {
      if (entry.appId !== appId) continue;
      // All of what came after a mark came after `since`, where the mark did.
      const mark = entry.marks.find(({ at }) => at >= since);
      if (mark)
        found.set(entry.release, { release: entry.release, counts: difference(entry.total, mark.counts), open: 0 });
    }
    for (const { last } of this.#hosts.values()) {
      for (const { appId: id, release, open } of last.values()) {
        if (id !== appId || open === 0) continue;
        const entry = found.get(release) ?? { release, counts: noCounts, open: 0 };
        found.set(release, { ...entry, open: entry.open + open });
      }
    }
    return { since, releases: [...found.values()].sort((a, b) => b.release - a.release) };
  }

  /**
   * Lets go of hosts and apps that are no more, and of releases without a request for long.
   * @param watched apps of which somebody keeps sums to compare with
   */
  prune(
    known: { hosts: ReadonlySet<string>; apps: ReadonlySet<string> },
    watched: ReadonlySet<string>,
    now = Date.now(),
  ): void {
    const isOld = (appId: string, at: number) => !known.apps.has(appId) || (now - at > forgetMs && !watched.has(appId));
    for (const id of this.#hosts.keys()) if (!known.hosts.has(id)) this.#hosts.delete(id);
    for (const [key, { appId, changedAt }] of this.#entries) if (isOld(appId, changedAt)) this.#entries.delete(key);
    for (const { last, forgotten } of this.#hosts.values()) {
      for (const [key, { appId, at, open }] of last) {
        if (!isOld(appId, at) || (open > 0 && known.apps.has(appId))) continue;
        last.delete(key);
        if (known.apps.has(appId)) forgotten.add(key);
      }
    }
  }
}
