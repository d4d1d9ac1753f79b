import { detectStack } from '../../../src/stacks/detect.ts';
import type { BuildPlan, PlanContext, StackApp } from '../../../src/stacks/port.ts';
import { createStacks } from '../../../src/stacks/registry.ts';
import { textView } from '../../support/source-view.ts';

export const stacks = createStacks((name) => Promise.resolve(`// ${name}`));

export const tools = { node: '20.20.2', npm: '10.8.2', python3: '3.11.2', java: '17.0.15', javac: '17.0.15' };

export function contextOf(files: Record<string, string>, options: Partial<StackApp & PlanContext> = {}): PlanContext {
  const { build, stack, processes = {}, ...rest } = options;
  const app = { processes, ...(build === undefined ? {} : { build }), ...(stack === undefined ? {} : { stack }) };
  return { view: textView(files), app, project: 'default', tools, arch: 'x64', base: 'b'.repeat(64), ...rest };
}

/** Name of the stack that is chosen for these files. */
export async function stackOf(files: Record<string, string>, options: Partial<StackApp> = {}): Promise<string> {
  return (await detectStack(stacks, contextOf(files, options))).stack.name;
}

export async function planOf(
  files: Record<string, string>,
  options: Partial<StackApp & PlanContext> = {},
): Promise<BuildPlan> {
  const context = contextOf(files, options);
  const { stack } = await detectStack(stacks, context);
  return stack.plan(context);
}

export const json = (value: unknown): string => JSON.stringify(value);

export const runs = (plan: BuildPlan): string[] => plan.commands.map(({ run }) => run);

export const webOf = (plan: BuildPlan): string | undefined => plan.defaultProcesses['web']?.command;
