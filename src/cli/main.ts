/** The command line's entry. What costs start-up time is loaded only when a command needs it. */
import { version } from '../shared/version.ts';
import { printLine } from './ui/plain.ts';

/** @returns the exit code */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<number> {
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-v' || argv[0] === 'version')) {
    printLine(version);
    return 0;
  }
  const { run } = await import('./run.ts');
  return run(argv, env);
}
