/** nginx wants a certificate in its configuration, although another one is shown (lua/tls.ts): the first of the table. */
import { mkdirSync, readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { join } from 'node:path';
import type { Certificate } from '../../shared/contracts/routes.ts';
import { writeDurably } from '../../shared/files.ts';
import { securityLevel } from '../../shared/tls.ts';

const pathsIn = (directory: string): { chain: string; key: string } => ({
  chain: join(directory, 'first.crt'),
  key: join(directory, 'first.key'),
});

export function saveFirst(directory: string, { chain, key }: Certificate): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const paths = pathsIn(directory);
  writeDurably(paths.chain, chain);
  writeDurably(paths.key, key);
}

/** Why nginx would not start with the saved one; null where it would. */
export function firstProblem(directory: string): string | null {
  try {
    const paths = pathsIn(directory);
    const [cert, key] = [readFileSync(paths.chain), readFileSync(paths.key)];
    createSecureContext({ cert, key, ciphers: `DEFAULT:${securityLevel}` });
    return null;
  } catch (error) {
    return `no TLS until the next route table: the saved certificate cannot be used: ${error instanceof Error ? error.message : String(error)}`;
  }
}
