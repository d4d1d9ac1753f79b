/** Pieces of a BuildPlan that several stacks share. */
import type { BuildCommand } from '../../shared/contracts/steps.ts';
import type { BuildPlan, StackApp } from '../port.ts';

/** A plan that does nothing, to be filled in. */
export function emptyPlan(noCommand: string): BuildPlan {
  return {
    needs: [],
    commands: [],
    files: {},
    sharedCaches: {},
    defaultProcesses: {},
    env: {},
    profile: '',
    warnings: [],
    noCommand,
  };
}

/** The plan's default for `web`. */
export function webCommand(command: string | undefined): BuildPlan['defaultProcesses'] {
  return command === undefined ? {} : { web: { kind: 'web', command } };
}

/**
 * The command that `build:` of the manifest asks for; none without it.
 * @param profile shell lines that put the stack's tools within its reach
 */
export function ownBuild({ build }: Pick<StackApp, 'build'>, profile = ''): BuildCommand[] {
  if (build === undefined) return [];
  return [{ name: build, run: profile === '' ? build : `${profile}\n${build}`, env: {} }];
}
