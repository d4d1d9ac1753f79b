/** Heroku and Cloud Foundry source `.profile.d/*.sh` and `.profile` of an app before its commands; so do we. */
import type { SourceView, Stack } from '../port.ts';

/** The stack, with the app's own profile scripts after its profile. */
export function withUserProfile(stack: Stack): Stack {
  return {
    ...stack,
    async plan(context) {
      const plan = await stack.plan(context);
      const lines = [plan.profile, ...(await scripts(context.view))];
      return { ...plan, profile: lines.filter((line) => line !== '').join('\n') };
    },
  };
}

async function scripts(view: SourceView): Promise<string[]> {
  const lines: string[] = [];
  if ((await view.list('.profile.d')).some(({ name }) => name.endsWith('.sh'))) {
    lines.push('for profile in ./.profile.d/*.sh; do . "$profile"; done');
  }
  if ((await view.read('.profile')) !== null) lines.push('. ./.profile');
  return lines;
}
