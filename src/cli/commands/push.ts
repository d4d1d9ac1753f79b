import type { Deployment } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { scopeCommand } from '../command/define.ts';
import { dayMs, flag, waitFlags, type Flag } from '../command/flags.ts';
import { readAssignments } from '../deploy/assignments.ts';
import { settle } from '../deploy/follow.ts';
import { dryRun, noImages, prepare, push, type DryRun, type PushWish } from '../deploy/push.ts';
import { Progress } from '../ui/progress.ts';
import { count, spell, spellBytes } from '../ui/times.ts';
import type { Ui } from '../ui/ui.ts';

const percentFlag: Flag<number[] | undefined> = {
  kind: 'option',
  value: '5,25,50,100',
  summary: 'canary: shares of the requests that the new release gets, one after the other',
  read: (texts) => {
    const text = texts.at(-1);
    if (text === undefined) return undefined;
    const steps = text.split(',').map(Number);
    const grows = steps.every((step, i) => Number.isInteger(step) && step > (steps[i - 1] ?? 0) && step <= 100);
    if (grows && steps.length <= 20) return steps;
    throw new PaasError('usage', `\`${text}\` is no row of growing shares from 1 to 100.`, {
      hint: 'Write them as in `--steps 5,25,50,100`.',
    });
  },
};

export default scopeCommand(
  {
    summary: 'take an app live from its source',
    description:
      'Reads paas.yml (or a Cloud Foundry manifest.yml, a Procfile, an app.json), sends what the platform lacks of the source,\n' +
      'builds it, and rolls the new release out beside the old one, which serves until the new one is healthy.\n' +
      'A push that changes nothing makes no release.',
    args: { app: { summary: "its name (default: the manifest's, else the directory's)" } },
    flags: {
      app: flag.text({ char: 'a', value: 'NAME', summary: 'the same as the argument' }),
      path: flag.text({ value: 'DIR|FILE', summary: 'directory, .tar.gz or .zip (default: this directory)' }),
      git: flag.text({ value: 'URL', summary: 'a git repository' }),
      ref: flag.text({ value: 'REF', summary: 'its branch, tag or commit' }),
      svn: flag.text({ value: 'URL', summary: 'a Subversion repository' }),
      revision: flag.text({ value: 'N', summary: 'its revision' }),
      image: flag.text({ value: 'REF', summary: 'a container image (not supported yet)' }),
      manifest: flag.text({ value: 'FILE', summary: 'the manifest to read' }),
      var: flag.list({ value: 'K=V', summary: 'a ((variable)) of a Cloud Foundry manifest; may be repeated' }),
      'vars-file': flag.list({ value: 'FILE', summary: 'a file of such variables; may be repeated' }),
      config: flag.list({ value: 'K=V', summary: 'set config too (K=@file, K=- for standard input); may be repeated' }),
      instances: flag.integer({ char: 'i', max: 1000, summary: 'instances of web, or of the only process' }),
      memory: flag.size({ char: 'm', summary: 'its memory' }),
      cpu: flag.cpu({ summary: 'its cores' }),
      command: flag.text({ char: 'c', value: 'CMD', summary: 'its command' }),
      strategy: flag.choice({
        choices: ['rolling', 'canary', 'recreate'],
        summary: 'how to replace the old instances',
      }),
      'max-in-flight': flag.integer({ min: 1, max: 1000, summary: 'new instances that may be starting at once' }),
      steps: percentFlag,
      'step-wait': flag.duration({
        value: '2m',
        max: 7 * dayMs,
        summary: 'canary: how long each step is watched (1m)',
      }),
      manual: flag.boolean({ summary: 'canary: each step waits for `paas rollout continue`' }),
      'no-analysis': flag.boolean({ summary: 'canary: do not go back because it answers worse than the old release' }),
      concurrent: flag.choice({
        choices: ['supersede', 'wait'],
        summary: 'when a deployment is under way (supersede)',
      }),
      'no-route': flag.boolean({ summary: 'give the app no address' }),
      'dry-run': flag.boolean({ summary: 'show what would happen; nothing is changed' }),
      message: flag.text({ value: 'TEXT', summary: 'what the release is about, for `paas releases`' }),
      ...waitFlags,
    },
    examples: [
      ['paas push', 'the app in this directory'],
      ['paas push shop --git https://example.com/shop.git --ref v1.2', 'a tag of a repository'],
      ['paas push --strategy canary --steps 10,50 --manual', 'a tenth of the clients first'],
      ['paas push --path build.tar.gz --no-wait --json', 'from a Jenkins job'],
    ],
  },
  async (context, { flags, args }) => {
    const { ui, env } = context;
    if (flags.image !== undefined) throw noImages(flags.image);
    const begun = performance.now();
    const { environment } = context.scope(flags);
    const wish: PushWish = {
      source: sourceOf(flags),
      appName: nameOf(args['app'], flags.app, env),
      project: flags.project,
      environment,
      manifestPath: flags.manifest,
      vars: variables(flags.var),
      varsFiles: flags['vars-file'],
      config: await readAssignments(flags.config, '--config', ui.streams.stdin),
      instances: flags.instances,
      memoryMb: flags.memory,
      cpu: flags.cpu,
      command: flags.command,
      strategy: flags.strategy,
      maxInFlight: flags['max-in-flight'],
      canary: canaryOf(flags),
      concurrent: flags.concurrent,
      noRoute: flags['no-route'],
      message: flags.message ?? '',
    };
    const progress = new Progress(ui);
    const prepared = await prepare(context, wish, progress).finally(() => progress.stop());
    try {
      if (flags['dry-run']) {
        const plan = await dryRun(context, wish, prepared, progress);
        progress.stop();
        showPlan(ui, plan);
        return 0;
      }
      const { deployment, sent } = await push(context, wish, prepared, progress);
      const end = await settle(Object.assign(context, { app: prepared.app }), deployment, flags, progress);
      progress.stop();
      showResult(ui, end, sent, Math.round(performance.now() - begun), flags['no-wait'] ? prepared.app.flags : null);
      return 0;
    } finally {
      progress.stop();
      await prepared.source.dispose();
    }
  },
);

/** What the flags say of a canary. @throws PaasError usage where they contradict each other */
function canaryOf(flags: {
  strategy: string | undefined;
  steps: number[] | undefined;
  'step-wait': number | undefined;
  manual: boolean;
  'no-analysis': boolean;
}): PushWish['canary'] {
  const { steps, 'step-wait': stepWaitMs, manual, 'no-analysis': unwatched } = flags;
  const some = steps !== undefined || stepWaitMs !== undefined || manual || unwatched;
  if (some && flags.strategy !== undefined && flags.strategy !== 'canary')
    throw new PaasError('usage', `--steps, --step-wait, --manual and --no-analysis are for \`--strategy canary\`.`);
  if (manual && stepWaitMs !== undefined)
    throw new PaasError('usage', '--manual and --step-wait exclude each other: who ends a step, you or the clock?');
  return {
    ...(steps === undefined ? {} : { steps }),
    ...(stepWaitMs === undefined ? {} : { stepWaitMs }),
    ...(manual ? { manual } : {}),
    ...(unwatched ? { analysis: 'off' as const } : {}),
  };
}

function sourceOf(flags: {
  path: string | undefined;
  git: string | undefined;
  ref: string | undefined;
  svn: string | undefined;
  revision: string | undefined;
}): PushWish['source'] {
  const { path, git, ref, svn, revision } = flags;
  const all = { path, git, ref, svn, revision };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function nameOf(argument: string | undefined, given: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  if (argument !== undefined && given !== undefined && argument !== given) {
    throw new PaasError('usage', `Which app: ${argument} or ${given}?`, { hint: 'Name it once.' });
  }
  return argument ?? given ?? (env['PAAS_APP'] || undefined);
}

function variables(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf('=');
      if (at > 0) return [word.slice(0, at), word.slice(at + 1)];
      throw new PaasError('usage', `--var: \`${word}\` is not NAME=VALUE.`);
    }),
  );
}

function showResult(
  ui: Ui,
  deployment: Deployment,
  upload: { files: number; bytes: number },
  durationMs: number,
  unwaited: string | null,
): void {
  const { app, project, environment, release, changed, url, build, rollout, state, id } = deployment;
  ui.show(
    { app, project, environment, release, changed, url, upload, build, rollout, durationMs, deployment: id, state },
    () => {
      const version = release === null ? '' : ` v${release}`;
      const took = `in ${spell(durationMs)}`;
      const sent =
        upload.bytes === 0 ? 'nothing to send' : `${count(upload.files, 'file')}, ${spellBytes(upload.bytes)} sent`;
      const built =
        build === null || build.durationMs === 0 ? '' : `, ${build.stack} build in ${spell(build.durationMs)}`;
      if (!changed) ui.line(`Nothing changed: ${app}${version} runs on (${took}).`);
      else if (unwaited !== null && state !== 'succeeded')
        ui.line(`Pushed ${app}; the deployment goes on. \`paas rollout status${unwaited}\` shows it.`);
      else ui.line(`${ui.style.green('Live:')} ${ui.style.bold(`${app}${version}`)} ${took} (${sent}${built})`);
      if (url !== null) ui.line(`  ${url}`);
    },
  );
}

function showPlan(ui: Ui, { app, changed, plan, upload, outline }: DryRun): void {
  ui.show({ app, changed, plan, upload }, () => {
    if (!changed) {
      ui.line(`Nothing would change: ${app} runs exactly this.`);
      return;
    }
    ui.table(
      ['ACTION', 'TARGET', 'FROM', 'TO'],
      plan.map(({ action, target, from, to }) => [action, target, from ?? '-', to ?? '-']),
    );
    if (upload.bytes > 0) ui.line(`To send: ${count(upload.files, 'file')}, ${spellBytes(upload.bytes)}.`);
    if (outline)
      ui.line(
        'The source is new to the platform: stack, build, and what the manifest changes besides show once it is pushed.',
      );
  });
}
