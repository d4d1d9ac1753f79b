/** A terminal for a command, by the script(1) of the system: Node has none of its own, and native modules are out. */
import { execFile } from 'node:child_process';
import { bareEnvironment } from '../runtimes/environment.ts';
import { findTool } from '../runtimes/tools.ts';

/**
 * script(1) of util-linux takes a command as shell text only. The text here is constant: the words of the command go
 * through environment variables of their own, and the only thing that is put into `eval` is a number.
 */
const inner = [
  'stty rows "$PAAS_TTY_ROWS" cols "$PAAS_TTY_COLUMNS" 2>/dev/null',
  'set --',
  'i=1',
  'while [ "$i" -le "$PAAS_TTY_WORDS" ]; do',
  '  eval "set -- \\"\\$@\\" \\"\\$PAAS_TTY_WORD_$i\\""',
  '  unset "PAAS_TTY_WORD_$i"',
  '  i=$((i + 1))',
  'done',
  'unset PAAS_TTY_ROWS PAAS_TTY_COLUMNS PAAS_TTY_WORDS',
  'exec "$@"',
].join('\n');

/** Arguments: SCRIPT ROWS COLUMNS WORDS…; `inner` has no single quote in it. */
const outer = `script=$1
export PAAS_TTY_ROWS="$2" PAAS_TTY_COLUMNS="$3"
shift 3
i=0
for word do
  i=$((i + 1))
  eval "export PAAS_TTY_WORD_$i=\\$word"
done
export PAAS_TTY_WORDS="$i"
exec "$script" -q -e -c '${inner}' /dev/null
`;

let kind: Promise<'util-linux' | 'bsd' | undefined> | undefined;

/**
 * The words to put before a command so that it gets a terminal of this size (file descriptors above 2 are passed on);
 * undefined where this host cannot give one.
 */
export async function terminalPrefix(size: { columns: number; rows: number }): Promise<string[] | undefined> {
  const script = findTool('script');
  if (script === null) return undefined;
  kind ??= kindOf(script);
  if ((await kind) === 'bsd') return [script, '-q', '/dev/null'];
  if ((await kind) === undefined) return undefined;
  const cells = (count: number) => String(Math.min(Math.max(Math.trunc(count), 1), 1000));
  return ['/bin/sh', '-c', outer, 'terminal', script, cells(size.rows), cells(size.columns)];
}

function kindOf(script: string): Promise<'util-linux' | 'bsd' | undefined> {
  if (process.platform === 'darwin') return Promise.resolve('bsd');
  return new Promise((resolve) => {
    execFile(script, ['--version'], { env: bareEnvironment, timeout: 5000 }, (error, stdout) => {
      resolve(!error && stdout.includes('util-linux') ? 'util-linux' : undefined);
    });
  });
}
