/**
 * How a plan's profile gets into effect: only the shell at start knows where the app's tree lies, so paths in it are
 * computed there. That shell then gets out of the way wherever it can. Many shells (Debian's dash) stay on as the parent
 * of the command they were given; on SIGTERM they end at once, with their own status, while the app is still draining.
 */

/** A word for `sh`, whatever it holds. */
export function shellQuote(word: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The command line (for `sh -c`, in the app's directory) that runs `command` under `profile`. */
export function launchLine(profile: string, command: string): string {
  const line = isSimpleCommand(command) ? `exec ${command}` : command;
  return profile === '' ? line : `${profile}\n${line}`;
}

/** The same for an argv, as `paas run` and `paas exec` take it. */
export function launchArgv(profile: string, argv: readonly string[]): string[] {
  return profile === '' ? [...argv] : ['sh', '-c', `${profile}\nexec "$@"`, 'sh', ...argv];
}

/** A profile line that puts directories of the app before PATH. */
export function pathLine(...directories: string[]): string {
  return `export PATH="${directories.map((directory) => `$PWD/${directory}:`).join('')}$PATH"`;
}

/** Words that only a shell understands: reserved words and built-in commands that are no programs. */
const shellWords = new Set(
  '. : alias bg break case cd command continue do done elif else esac eval exec exit export fg fi for function hash if in jobs local read readonly return select set shift source then time times trap type ulimit umask unalias unset until wait while'.split(
    ' ',
  ),
);

/** Whether `exec` may be put before a command line: one program and its words. In doubt, no. */
function isSimpleCommand(command: string): boolean {
  const [, first = ''] = /^\s*([A-Za-z0-9_.\/-]+)(?:\s|$)/.exec(command) ?? [];
  const bare = command.trim().replace(/'[^']*'|"(?:[^"`\\]|\\.)*"/g, '');
  return first !== '' && !shellWords.has(first) && !/[;&|<>()`\n\\#"']/.test(bare);
}
