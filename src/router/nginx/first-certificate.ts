/** nginx wants a certificate in its configuration, although another one is shown (lua/tls.ts): the first of the table. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Certificate } from '../../shared/contracts/routes.ts';
import { writeIfOther } from '../../shared/files.ts';
import { strongContext } from '../../shared/tls.ts';

/** Chain and key in one file: they change together or not at all. */
export const firstPath = (directory: string): string => join(directory, 'first.pem');

export function saveFirst(directory: string, { chain, key }: Certificate): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeIfOther(firstPath(directory), `${chain.trimEnd()}\n${key.trimEnd()}\n`);
}

/** Why nginx would not start with the saved one; null where it would. */
export function firstProblem(directory: string): string | null {
  try {
    const pem = readFileSync(firstPath(directory));
    strongContext({ cert: pem, key: pem });
    return null;
  } catch (error) {
    return `no TLS until the next route table: the saved certificate cannot be used: ${error instanceof Error ? error.message : String(error)}`;
  }
}
