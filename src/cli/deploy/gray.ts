/** What `paas gray …` shows. */
import type { GrayView } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import type { AppScope, Context } from '../command/context.ts';
import { ago } from '../ui/times.ts';

export function showGray({ ui, app }: Context & { app: AppScope }, view: GrayView): void {
  ui.show(view, () => {
    const { stable, rules, releases, rollout } = view;
    const moving = rollout && `v${rollout.release} is being rolled out: ${share(rollout.percent)}.`;
    if (rules.length === 0) {
      ui.line(
        `${app.name} has no gray rules: all requests go to ${stable === null ? 'no release yet' : `v${stable}`}.`,
      );
      if (moving) ui.line(moving);
      return;
    }
    ui.table(
      ['RULE', 'REQUESTS WITH', 'GO TO', 'BY', 'AGE'],
      rules.map(({ id, match, release, by, createdAt }) => [id, match, `v${release}`, by, ago(createdAt)]),
    );
    ui.line(`All others go to ${stable === null ? 'nothing' : `v${stable}`}.`);
    if (moving) ui.line(moving);
    for (const [release, counts] of Object.entries(releases)) {
      const spelt = Object.entries(counts).map(([type, count]) => `${type}=${count}`);
      ui.line(`v${release} runs beside it with ${spelt.join(' ')}.`);
    }
  });
}

const share = (percent: number | null): string =>
  percent === null ? 'it takes over instance by instance' : `${percent} % of these clients get it already`;

/** `v13` or `13`. @param flag it was given with: `--to` @throws PaasError usage */
export function readRelease(text: string, flag: string): number {
  const number = /^v?([1-9]\d{0,8})$/.exec(text)?.[1];
  if (number !== undefined) return Number(number);
  throw new PaasError('usage', `${flag}: \`${text}\` is no release.`, { hint: 'Write it as in `v12`.' });
}
