/**
 * How a plan's profile gets into effect. Only the shell at start knows where the app's tree lies, so paths in it are
 * computed there. The command is exec'd in a shell of its own: that shell replaces itself by a simple command, so that
 * SIGTERM reaches the app and its exit status is the instance's.
 */

/** A word for `sh`, whatever it holds. */
export function shellQuote(word: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The command line (for `sh -c`, in the app's directory) that runs `command` under `profile`. */
export function launchLine(profile: string, command: string): string {
  return profile === '' ? command : `${profile}\nexec sh -c ${shellQuote(command)}`;
}

/** The same for an argv, as `paas run` and `paas exec` take it. */
export function launchArgv(profile: string, argv: readonly string[]): string[] {
  return profile === '' ? [...argv] : ['sh', '-c', `${profile}\nexec "$@"`, 'sh', ...argv];
}

/** A profile line that puts directories of the app before PATH. */
export function pathLine(...directories: string[]): string {
  return `export PATH="${directories.map((directory) => `$PWD/${directory}:`).join('')}$PATH"`;
}
