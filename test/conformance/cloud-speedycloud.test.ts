import { afterAll, beforeAll } from 'vitest';
import { buildCloud, LocalCloud } from '../support/local-cloud.ts';
import { cloudConformance } from './cloud.suite.ts';

let program: Awaited<ReturnType<typeof buildCloud>>;
beforeAll(async () => {
  program = await buildCloud();
});
afterAll(() => program.remove());

cloudConformance('speedycloud on the embedded cloud', async () => {
  const cloud = new LocalCloud(program.path);
  await cloud.start();
  return {
    driver: cloud.driver(),
    neighbour: cloud.driver({ platform: 'other' }),
    stranger: cloud.driver({}, { apiKey: 'wrong-key-of-a-stranger' }),
    userData: JSON.stringify({ apps: 1 }),
    remove: () => cloud.remove(),
  };
});
