/** For the one thing that is printed before anything else is loaded. */
export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}
