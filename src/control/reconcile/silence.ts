/** Which silent hosts are lost: by the cloud's word, or after the grace. */
import type { CloudHostState } from '../../clouds/port.ts';
import type { Control } from '../context.ts';
import type { HostRow } from '../store/schema.ts';
import { loseHosts } from './lost.ts';
import { wantHost } from './want-host.ts';

/**
 * Gives up silent hosts of which the cloud said something; never many at once, never just after a start.
 * @param words by host id; they are taken out
 */
export async function judgeSilence(control: Control, words: Map<string, CloudHostState>): Promise<void> {
  const { store, settings, startedAt, hub } = control;
  const heard = new Map(words);
  words.clear();
  if (heard.size === 0) return;
  const now = Date.now();
  const all = await store.db.selectFrom('hosts').selectAll().execute();
  const lost: { host: HostRow; why: string }[] = [];
  for (const host of all) {
    const word = heard.get(host.id);
    if (word === undefined || host.state !== 'unreachable' || hub.connected(host.id)) continue;
    const since = now - Math.max(host.last_seen ?? host.created_at, startedAt);
    if (word === 'gone' || word === 'stopped' || word === 'error') lost.push({ host, why: `the cloud says ${word}` });
    else if (since > settings.timing.lostGrace) lost.push({ host, why: `silent for ${Math.round(since / 1000)} s` });
  }
  if (lost.length === 0 || now - startedAt < settings.timing.startGrace) return;
  // More than half at once looks like our own link or the cloud's API failing, not like so many broken hosts.
  const settled = all.filter((host) => host.state !== 'creating' && host.state !== 'deleting').length;
  const declared = lost.slice(0, Math.max(1, Math.floor(settled / 2)));
  await loseHosts(control, declared);
  for (const { host } of declared) {
    const roles = JSON.parse(host.roles) as string[];
    if (host.draining > 0 || !roles.includes('compute')) continue;
    await wantHost(control, { roles, cpu: host.cpu, memoryMb: host.memory_mb, actor: 'platform' });
  }
}
