/** From a source tree to a plan, and from a plan to commands: what the control plane calls. */
import { PaasError } from '../shared/errors.ts';
import { detectStack } from './detect.ts';
import type { BuildPlan, DefaultProcess, Need, PlanContext, Stack, StackApp } from './port.ts';
import { cacheKey } from './support/keys.ts';

export interface Plan extends BuildPlan {
  stack: string;
  /** What was recognised, for people. */
  reason: string;
  /** With the source's root and the build environment: the key of the output tree. */
  outputKey: string;
}

/**
 * Detects the stack and plans the build.
 * @throws PaasError stack_unknown, source_invalid, manifest_invalid
 */
export async function planBuild(stacks: readonly Stack[], context: PlanContext): Promise<Plan> {
  const { stack, detection } = await detectStack(stacks, context);
  const plan = await stack.plan(context);
  const tools = plan.needs.map(({ tool }) => tool);
  const userProfile = await userProfileLines(context);
  return {
    ...plan,
    profile: [plan.profile, ...userProfile].filter((line) => line !== '').join('\n'),
    stack: stack.name,
    reason: detection.reason,
    outputKey: cacheKey(stack, context, tools, [plan.commands, plan.files]),
  };
}

/** Whether a host has to run anything; if not, the output is the source tree plus `plan.files`. */
export function needsBuildHost(plan: BuildPlan): boolean {
  return plan.commands.length > 0;
}

/** The needs of a plan that a host with `tools` does not meet. */
export function missingNeeds(plan: BuildPlan, tools: Readonly<Record<string, string>>): Need[] {
  return plan.needs.filter(({ tool }) => !Object.hasOwn(tools, tool));
}

/** @returns tool_missing that names every unmet need and, where it is known, how to meet it; null when all are met. */
export function toolMissing(plan: BuildPlan, tools: Readonly<Record<string, string>>, host: string): PaasError | null {
  const missing = missingNeeds(plan, tools);
  if (missing.length === 0) return null;
  const list = missing.map(({ tool, reason }) => `${tool} (${reason})`).join(', ');
  const packages = missing.map(({ tool }) => debianPackage[tool] ?? tool);
  return new PaasError('tool_missing', `Not found on host ${host}: ${list}.`, {
    hint: `Install it on the hosts (Debian: apt install ${packages.join(' ')}), or push to a base that has it.`,
    details: { host, missing: missing.map(({ tool }) => tool) },
  });
}

const debianPackage: Record<string, string> = {
  node: 'nodejs',
  python3: 'python3 python3-venv',
  java: 'default-jre-headless',
  javac: 'default-jdk-headless',
  mvn: 'maven',
};

/**
 * The command of every process type of the app: its own, else the stack's default. Without any process types, the
 * stack's defaults are the app.
 * @throws PaasError manifest_invalid when a process type is left without a command.
 */
export function processCommands(plan: BuildPlan, app: Pick<StackApp, 'processes'>): Record<string, DefaultProcess> {
  const given = Object.entries(app.processes);
  if (given.length === 0 && Object.keys(plan.defaultProcesses).length === 0) {
    throw new PaasError('manifest_invalid', 'Nothing says which command starts the app.', { hint: plan.noCommand });
  }
  if (given.length === 0) return { ...plan.defaultProcesses };
  return Object.fromEntries(
    given.map(([type, { kind, command }]) => {
      const chosen = command ?? plan.defaultProcesses[type]?.command;
      if (chosen === undefined) {
        throw new PaasError('manifest_invalid', `The process type '${type}' has no command.`, {
          hint:
            type === 'web' ? plan.noCommand : `Give processes.${type}.command in paas.yml, or a line in a Procfile.`,
        });
      }
      return [type, { kind, command: chosen }];
    }),
  );
}

/** Heroku and Cloud Foundry source `.profile.d/*.sh` and `.profile` of an app before its commands. */
async function userProfileLines({ view }: PlanContext): Promise<string[]> {
  const scripts = await view.list('.profile.d');
  const lines = scripts.some(({ name }) => name.endsWith('.sh'))
    ? ['for profile in ./.profile.d/*.sh; do . "$profile"; done']
    : [];
  return (await view.read('.profile')) === null ? lines : [...lines, '. ./.profile'];
}
