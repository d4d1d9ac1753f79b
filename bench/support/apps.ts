/** Apps that are pushed for measuring, and the same apps started by hand. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Platform } from '../../test/support/platform.ts';
import { withProcess } from './cleanup.ts';
import { freePort, Running } from './programs.ts';

export type AppName = 'hello' | 'writer' | 'upstream';

/** A copy of an app of bench/apps below `parent`. */
export function copyOf(app: AppName, parent: string): string {
  const directory = mkdtempSync(join(parent, `${app}-`));
  cpSync(fileURLToPath(new URL(`../apps/${app}`, import.meta.url)), directory, { recursive: true });
  return directory;
}

/** Changes the one line by which the app hello says what it is. */
export function setVersion(directory: string, version: string): void {
  writeFileSync(join(directory, 'version.js'), `export const version = '${version}';\n`);
}

/** Asks until the answer is 200 and has the text in it. @returns when that was, as performance.now() says it */
export async function answers(port: number, host: string, text: string, timeoutMs = 60_000): Promise<number> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const body = await bodyOf(port, host);
    const now = performance.now();
    if (body?.includes(text)) return now;
    if (now > deadline)
      throw new Error(`${host} does not answer \`${text}\` within ${timeoutMs} ms, but: ${body ?? 'nothing'}`);
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
}

/** What is answered with status 200; else undefined. */
function bodyOf(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', port, agent: false, headers: { host } }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.once('error', () => resolve(undefined));
      response.once('end', () => resolve(response.statusCode === 200 ? body : undefined));
    });
    asked.once('error', () => resolve(undefined));
    asked.end();
  });
}

/** Through the platform's router. */
export function appAnswers(paas: Platform, app: string, text: string): Promise<number> {
  return answers(paas.routerPort, `${app}.localhost:${paas.routerPort}`, text);
}

/** @returns ms from starting the app hello by hand until it answers */
export async function startByHand(directory: string): Promise<number> {
  const port = await freePort();
  const started = performance.now();
  const app = new Running(process.execPath, ['server.js'], { cwd: directory, env: { PORT: String(port) } });
  return withProcess(app, async () => (await answers(port, 'localhost', 'version')) - started);
}

/** Processes of an app's release. */
export function processesOfRelease(app: string, release: number): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const variables = readFileSync(`/proc/${name}/environ`, 'latin1').split('\0');
      const its = variables.includes(`PAAS_APP_NAME=${app}`) && variables.includes(`PAAS_RELEASE=v${release}`);
      return its ? [Number(name)] : [];
    } catch {
      return []; // It ended meanwhile.
    }
  });
}

/** A tree of random files: `count` of `size` bytes, a hundred a directory. */
export function fillWithFiles(directory: string, count: number, size: number, random: (size: number) => Buffer): void {
  for (let i = 0; i < count; i++) {
    const folder = join(directory, 'data', String(Math.floor(i / 100)));
    if (i % 100 === 0) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file-${i}.bin`), random(size));
  }
}
