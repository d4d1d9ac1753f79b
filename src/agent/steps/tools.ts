/**
 * Which tools a host has, and their versions. Read out of files beside the program where these tell (a JVM or npm takes
 * half a second to say its version), else asked of the program itself; remembered by path and modification time.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as z from 'zod/mini';
import { errnoOf } from '../../shared/errors.ts';
import { findProgram } from '../facts-path.ts';

interface Tool {
  name: string;
  /** The program to look for, when it is not called like the tool. */
  program?: string;
  /** The version out of files near the program's real path; undefined when they do not tell. */
  read?(realPath: string): string | undefined;
  argv: readonly string[];
}

const jdkRelease = (real: string) =>
  /^JAVA_VERSION="([^"]+)"/m.exec(readText(join(dirname(real), '..', 'release')))?.[1];

const tools: readonly Tool[] = [
  {
    name: 'node',
    argv: ['--version'],
    read: (real) => (real === realPathOf(process.execPath) ? process.versions.node : undefined),
  },
  { name: 'npm', argv: ['--version'], read: packageVersion },
  { name: 'pnpm', argv: ['--version'], read: packageVersion },
  { name: 'yarn', argv: ['--version'], read: packageVersion },
  { name: 'corepack', argv: ['--version'], read: packageVersion },
  { name: 'python3', argv: ['--version'] },
  // Debian ships venv without ensurepip unless python3-venv is installed: then `python3 -m venv` fails half-way.
  { name: 'python3-venv', program: 'python3', argv: ['-c', 'import venv, ensurepip; print(ensurepip.version())'] },
  { name: 'java', argv: ['-version'], read: jdkRelease },
  { name: 'javac', argv: ['-version'], read: jdkRelease },
  { name: 'mvn', argv: ['--version'], read: mavenVersion },
  { name: 'git', argv: ['--version'] },
  { name: 'make', argv: ['--version'] },
  { name: 'gcc', argv: ['-dumpfullversion', '-dumpversion'] },
  { name: 'go', argv: ['version'] },
  { name: 'ruby', argv: ['--version'] },
  { name: 'php', argv: ['--version'] },
];

const cacheFile = z.record(z.string(), z.object({ stamp: z.string(), version: z.nullable(z.string()) }));
type Cache = z.infer<typeof cacheFile>;

export interface DetectedTools {
  /** Tool -> version. */
  tools: Record<string, string>;
  /** What to store for the next start; unchanged when nothing had to be asked. */
  cache: string;
}

/**
 * Looks for all tools on `path`. `cached` is what an earlier call returned (any text is taken; a damaged one is
 * ignored). A program that does not answer within 5 s counts as missing and is asked again next time.
 */
export async function detectTools(path: string, cached: string): Promise<DetectedTools> {
  const known = parseCache(cached);
  const next: Cache = {};
  const found: Record<string, string> = {};
  await Promise.all(
    tools.map(async (tool) => {
      const program = findProgram(tool.program ?? tool.name, path);
      if (program === undefined) return;
      const real = realPathOf(program);
      const { mtimeMs, size } = statSync(real);
      const stamp = `${real} ${mtimeMs} ${size}`;
      const before = known[tool.name];
      const version =
        before?.stamp === stamp ? before.version : (tool.read?.(real) ?? (await ask(program, tool.argv, path)));
      if (version === undefined) return;
      next[tool.name] = { stamp, version };
      if (version !== null) found[tool.name] = version;
    }),
  );
  const sorted = Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { tools: sorted, cache: JSON.stringify(next) };
}

function parseCache(text: string): Cache {
  try {
    return cacheFile.parse(JSON.parse(text));
  } catch {
    return {};
  }
}

/** A program that does not tell its version by then hangs; Java takes seconds for it on a machine that has just begun. */
const askMs = 20_000;

/** The version that a program prints; null when it fails (it is there but of no use), undefined when it hangs. */
function ask(program: string, argv: readonly string[], path: string): Promise<string | null | undefined> {
  return new Promise((resolve) => {
    const env = { PATH: path, HOME: '/nonexistent', LC_ALL: 'C' };
    execFile(program, [...argv], { timeout: askMs, killSignal: 'SIGKILL', env, cwd: '/' }, (error, stdout, stderr) => {
      if (error) resolve(error.killed === true || errnoOf(error) === 'EAGAIN' ? undefined : null);
      else resolve(/\d+\.\d[\w.+-]*/.exec(stdout || stderr)?.[0] ?? null);
    });
  });
}

/** npm, pnpm, yarn and corepack lie in a package of their own: the nearest package.json above that has their name. */
function packageVersion(real: string): string | undefined {
  for (let dir = dirname(real), i = 0; i < 4; i++, dir = dirname(dir)) {
    const text = readText(join(dir, 'package.json'));
    if (text === '') continue;
    const found = /"version"\s*:\s*"([^"]+)"/.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  return undefined;
}

/** In Apache's layout the jar carries the version; Debian calls it 3.x and keeps the version in its repository. */
function mavenVersion(real: string): string | undefined {
  const jars = names(join(dirname(dirname(real)), 'lib'));
  const plain = jars
    .map((jar) => /^maven-core-(\d+\.\d[\w.+-]*)\.jar$/.exec(jar)?.[1])
    .find((found) => found !== undefined);
  if (plain !== undefined || !real.startsWith('/usr/share/maven/')) return plain;
  return names('/usr/share/maven-repo/org/apache/maven/maven-core').find((name) => /^\d+\.\d/.test(name));
}

function names(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return '';
  }
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
