/** Anything that says itself how it runs: a Procfile, or commands in the manifest. Nothing is built but by `build:`. */
import type { Stack } from './port.ts';
import { emptyPlan, ownBuild } from './support/plan.ts';

export const procfile: Stack = {
  name: 'procfile',
  version: 1,
  looksFor: 'a Procfile, or a command in the manifest',

  async detect({ view, app }) {
    if ((await view.read('Procfile')) !== null) return { reason: 'Procfile', confidence: 'sure' };
    const commanded = Object.values(app.processes).some(({ command }) => command !== undefined);
    return commanded ? { reason: 'a command in the manifest', confidence: 'sure' } : null;
  },

  plan({ app }) {
    const plan = emptyPlan('Add a line `web: …` to the Procfile, or processes.web.command to paas.yml.');
    return Promise.resolve({ ...plan, commands: ownBuild(app) });
  },
};
