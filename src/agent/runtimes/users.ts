/** A user of its own for every app, where the agent is root. */
import { createHash } from 'node:crypto';
import { findTool } from './tools.ts';
import type { Owner } from './port.ts';

/**
 * Free range of user ids according to systemd's UIDS-GIDS table: above the containers of nspawn (to 1879048191), below
 * the foreign range (from 2147352576).
 */
const firstUid = 1_879_048_192;
const uidCount = 2 ** 27;

/**
 * The user of an app: derived from the app's id and nothing else, so it needs no table that could be lost or be reused
 * for another app, and several agents on one machine (the embedded cloud) never give one id to two apps by counting.
 * Two of 100 apps on a machine share one with a probability of 1 in 27,000.
 * @returns null where the agent is not root
 */
export function ownerOf(appId: string): Owner {
  if (process.getuid?.() !== 0) return null;
  const uid = firstUid + (createHash('sha256').update(appId).digest().readUInt32BE(0) % uidCount);
  return { uid, gid: uid };
}

/** argv prefix that changes to a user for good: no groups, and no set-user-id program gives rights back. */
export function asOwner(owner: Owner): string[] {
  if (owner === null) return [];
  const user = [`--reuid`, String(owner.uid), `--regid`, String(owner.gid)];
  return [findTool('setpriv') ?? 'setpriv', ...user, '--clear-groups', '--no-new-privs', '--'];
}
