/** `kill -9` of an agent and of a whole host at every step of a push: after each event that it records, and before the first. */
import { afterAll, beforeAll } from 'vitest';
import { startPlatform, type Platform } from '../support/platform.ts';
import { platformForKills, survivesKills, victims } from '../support/push-kill.ts';

let paas: Platform;
beforeAll(async () => {
  paas = await startPlatform(platformForKills);
});
afterAll(() => paas.remove());

survivesKills('the agent', victims['the agent'], () => paas);
survivesKills('the host', victims['the host'], () => paas);
