/**
 * How an agent gets its key: the one-time token of its user-data is exchanged once. The key is kept with a hash of that
 * token, so that the token is not used again, yet new user-data with a new token enrols anew (a repaired host).
 */
import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { enrolResponse, type AgentUserData } from '../shared/contracts/agent.ts';
import { PaasError } from '../shared/errors.ts';
import { version } from '../shared/version.ts';
import type { AgentKey, ControlHttp } from './link-http.ts';
import { errorFields, type Log } from './log.ts';
import { readJsonFile, writeDurably } from '../shared/files.ts';

const keyFile = z.object({ hostId: z.string(), keyId: z.string(), secret: z.string(), tokenHash: z.string() });

/** Between attempts, while the control plane refuses the token: a person has to act. */
const refusedRetryMs = 30_000;

const hashOf = (token: string) => createHash('sha256').update(token).digest('hex');

/** The key from disk, if this host has one that came from this token. Throws `conflict` for another host's directory. */
export function storedKey(path: string, userData: AgentUserData): AgentKey | undefined {
  const stored = readJsonFile(path, keyFile);
  if (!stored) return undefined;
  if (stored.hostId !== userData.hostId) {
    throw new PaasError('conflict', `the data directory belongs to host ${stored.hostId}, not to ${userData.hostId}`, {
      hint: 'Give each host a data directory of its own.',
    });
  }
  if (stored.tokenHash !== hashOf(userData.token)) return undefined;
  return { keyId: stored.keyId, secret: stored.secret };
}

export interface EnrolOptions {
  http: ControlHttp;
  keyPath: string;
  userData: AgentUserData;
  log: Log;
  /** Waits; rejects when the agent is stopped. */
  wait(ms: number): Promise<void>;
  backoff: { next(): number; reset(): void };
}

/** Exchanges the token for a key and stores it. Tries until it works; a refusal is logged and tried again slowly. */
export async function enrol(options: EnrolOptions): Promise<AgentKey> {
  const { userData, log } = options;
  for (;;) {
    try {
      const request = { hostId: userData.hostId, token: userData.token, agentVersion: version };
      const answer = enrolResponse.parse(await options.http.json('POST', '/v1/agents/enrol', request));
      const stored = { hostId: userData.hostId, ...answer, tokenHash: hashOf(userData.token) };
      writeDurably(options.keyPath, JSON.stringify(stored));
      log.info('enrolled', { hostId: userData.hostId, keyId: answer.keyId });
      options.backoff.reset();
      return { keyId: answer.keyId, secret: answer.secret };
    } catch (error) {
      const refused = error instanceof PaasError && !error.retryable;
      if (refused) {
        log.error('the control plane refuses to enrol this host; it needs a new token (create the host again)', {
          hostId: userData.hostId,
          ...errorFields(error),
        });
      } else log.warn('cannot enrol yet', errorFields(error));
      await options.wait(refused ? refusedRetryMs : options.backoff.next());
    }
  }
}
