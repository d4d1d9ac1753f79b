/** Step `router-check`: the router of this host says whether it would take an app's own configuration. */
import type { RouterCheckStep } from '../../shared/contracts/steps.ts';
import { PaasError } from '../../shared/errors.ts';
import type { RouterKeeper } from '../router.ts';
import type { StepDriver } from './runner.ts';

/** @param router of this host, where it has one by now */
export function createRouterCheckDriver(
  router: () => Pick<RouterKeeper, 'checkSnippet'> | undefined,
): StepDriver<RouterCheckStep> {
  return {
    async run({ snippet }) {
      const keeper = router();
      if (!keeper) throw new PaasError('unsupported', 'This host has no router.');
      return { problems: await keeper.checkSnippet(snippet) };
    },
    // A check leaves nothing behind but what its router removes by itself.
    clear: () => Promise.resolve(),
  };
}
