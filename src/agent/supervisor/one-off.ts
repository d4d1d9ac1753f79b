/** Surroundings for commands that live as long as a session: the app's files, user and limits, but no keeper. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { InstanceSpec } from '../../shared/contracts/instances.ts';
import { bootId, signalTree } from '../../shared/processes.ts';
import { installScript, readRun } from '../runtimes/keeper.ts';
import type { RuntimeCommand } from '../runtimes/port.ts';
import type { InstanceContext } from './context.ts';
import { killMembers } from './members.ts';
import { removeInstance } from './record.ts';
import { fillApp, makeTemporary, runtimeSpec } from './start.ts';

export interface OneOff {
  /** The command, to be started with `spawnCommand`. */
  command(argv: readonly string[]): RuntimeCommand;
  /** Kills what is left of it and removes its files. */
  finish(): Promise<void>;
}

/** Fills a directory of its own for a one-off. On failure nothing of it is left. */
export async function prepareOneOff(context: InstanceContext, spec: InstanceSpec): Promise<OneOff> {
  const directory = path.join(context.directory, spec.id);
  const group = context.limits.open(spec.id, { memoryMb: spec.memoryMb, cpu: spec.cpu ?? null });
  // No assignment names it, so nothing else keeps it below the command.
  const release = context.bases.hold(spec.image.base);
  const finish = async (): Promise<void> => {
    await killMembers(spec.id, readRun(directory, bootId()), group, context.clock);
    release();
    group.remove();
    removeInstance(directory, context.log);
  };
  try {
    const runtime = context.runtimes.choose(spec.runtime);
    await fillApp(directory, spec, context.trees);
    const inside = await runtimeSpec(directory, { spec, port: null }, context, group.visible);
    makeTemporary(inside);
    const run = path.join(directory, 'run');
    mkdirSync(run, { mode: 0o700 });
    const stage = ['/bin/sh', installScript(context.directory), 'stage', run, ...group.join, '--'];
    return {
      command(argv) {
        writeFileSync(path.join(run, 'app'), '', { mode: 0o600 });
        const command = runtime.run(inside, argv);
        return { argv: [...stage, ...command.argv], env: command.env };
      },
      finish,
    };
  } catch (error) {
    await finish();
    throw error;
  }
}

/**
 * Kills what is left of an instance that no record tells of: what an agent was preparing, or ran in a session, when it
 * died.
 */
export async function killLeftover(context: InstanceContext, id: string): Promise<void> {
  const run = readRun(path.join(context.directory, id), bootId());
  if (run.keeper) signalTree(run.keeper, 'SIGKILL');
  const group = context.limits.open(id, { memoryMb: 512, cpu: null });
  await killMembers(id, run, group, context.clock);
  group.remove();
}
