/** Who may know whom (docs/architecture.md, "Walls"). */
import { describe, expect, it } from 'vitest';
import { closure, Exceptions, sources } from './support/sources.ts';

const part = (path: string): string => path.split('/')[1] ?? '';

/** What each part may import besides itself and `shared`: a part, or a file or directory of one. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  shared: [],
  // The CLI bootstraps a platform on a cloud, and `paas up` starts the embedded one.
  cli: ['src/clouds/', 'src/localcloud/client.ts'],
  control: ['src/clouds/', 'src/engines/', 'src/stacks/'],
  clouds: [],
  engines: [],
  stacks: [],
  // The agent keeps the router beside it, and its file is the router program too.
  agent: ['src/router/port.ts', 'src/router/registry.ts', 'src/router/embedded/main.ts'],
  router: [],
  // The embedded cloud checks the signatures that the driver makes.
  localcloud: ['src/clouds/signing/'],
};

const partExceptions = new Exceptions({});

describe('parts', () => {
  it('meet only where the design lets them', () => {
    const broken: string[] = [];
    for (const { path, imports } of sources) {
      for (const { file, line } of imports) {
        if (file === null || part(file) === part(path) || part(file) === 'shared') continue;
        const allowed = (mayImport[part(path)] ?? []).some((place) => file.startsWith(place));
        if (!allowed && !partExceptions.excuse(`${path} -> ${file}`)) broken.push(`${path}:${line} imports ${file}`);
      }
    }
    expect(broken).toEqual([]);
    expect(partExceptions.unused).toEqual([]);
  });

  it('are those of the design', () => {
    expect([...new Set(sources.map(({ path }) => part(path)))].sort()).toEqual(Object.keys(mayImport).sort());
  });

  it('import one another lazily where only one program needs it', () => {
    const eager = sources
      .filter(({ path }) => part(path) === 'agent')
      .flatMap(({ path, text }) => (/^import .*router\/embedded/m.test(text) ? [path] : []));
    expect(eager).toEqual([]);
  });
});

/** A kind of driver: where its drivers are, and what belongs to each. Everything else of the kind is common to all. */
const drivers: readonly { kind: string; names: Readonly<Record<string, readonly string[]>> }[] = [
  { kind: 'cloud', names: { speedycloud: ['src/clouds/speedycloud.ts', 'src/clouds/speedycloud/'] } },
  { kind: 'engine', names: { agents: ['src/engines/agents/'] } },
  { kind: 'router', names: { embedded: ['src/router/embedded/'], nginx: ['src/router/nginx/'] } },
  {
    kind: 'runtime',
    names: { process: ['src/agent/runtimes/process.ts'], sandbox: ['src/agent/runtimes/sandbox.ts'] },
  },
  {
    kind: 'stack',
    names: {
      java: ['src/stacks/java.ts'],
      node: ['src/stacks/node.ts'],
      procfile: ['src/stacks/procfile.ts'],
      python: ['src/stacks/python.ts'],
      static: ['src/stacks/static.ts', 'src/stacks/static-server/'],
    },
  },
];

/** Files outside of a kind that may name its drivers. */
const registries = /(^|\/)(registry|main)\.ts$/;

describe('drivers', () => {
  it.each(drivers)('of kind $kind do not import one another', ({ names }) => {
    const broken: string[] = [];
    const ownerOf = (file: string) =>
      Object.entries(names).find(([, places]) => places.some((place) => file.startsWith(place)))?.[0];
    for (const { path, imports } of sources) {
      const owner = ownerOf(path);
      for (const { file, line } of imports) {
        const other = file === null ? undefined : ownerOf(file);
        if (owner !== undefined && other !== undefined && owner !== other)
          broken.push(`${path}:${line} imports ${file ?? ''}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('are named by their registry and by programs alone', () => {
    const engines = new Exceptions({
      'src/control/deploy/once.ts': 'one-offs are placed by the same pure planning as workloads',
      'src/control/reconcile/needed-hosts.ts': 'how many hosts are needed is the same pure planning',
      'src/control/store/instances.ts': 'implements what the built-in engine wants remembered',
    });
    const broken: string[] = [];
    for (const { path, imports } of sources) {
      if (registries.test(path)) continue;
      for (const { file, line } of imports) {
        if (file === null) continue;
        for (const { kind, names } of drivers) {
          for (const places of Object.values(names)) {
            const inside = (name: string) => places.some((place) => name.startsWith(place));
            if (!inside(file) || inside(path)) continue;
            if (kind !== 'engine' || !engines.excuse(path)) broken.push(`${path}:${line} names ${file} (${kind})`);
          }
        }
      }
    }
    expect(broken).toEqual([]);
    expect(engines.unused).toEqual([]);
  });
});

describe('the agent', () => {
  const { files, packages } = closure('src/agent/main.ts');

  it('is made of shared, agent and router', () => {
    expect(files.filter((file) => !['shared', 'agent', 'router'].includes(part(file)))).toEqual([]);
  });

  it('needs Node itself, ws, zod/mini and maxmind (for gray rules by region), nothing else', () => {
    const foreign = [...packages.keys()].filter((name) => !name.startsWith('node:')).sort();
    expect(foreign).toEqual(['maxmind', 'ws', 'zod/mini']);
  });
});

describe('imports', () => {
  it('have no cycles at run time', () => {
    const cycles: string[] = [];
    const done = new Set<string>();
    const byPath = new Map(sources.map((item) => [item.path, item]));
    const walk = (path: string, trail: string[]): void => {
      const at = trail.indexOf(path);
      if (at >= 0) return void cycles.push([...trail.slice(at), path].join(' -> '));
      if (done.has(path)) return;
      for (const { file, typeOnly } of byPath.get(path)?.imports ?? []) {
        if (file !== null && !typeOnly) walk(file, [...trail, path]);
      }
      done.add(path);
    };
    for (const { path } of sources) walk(path, []);
    expect(cycles).toEqual([]);
  });

  it('lead to files that exist, with their endings', () => {
    const known = new Set(sources.map(({ path }) => path));
    const broken = sources.flatMap(({ path, imports }) =>
      imports.flatMap(({ file }) => (file === null || known.has(file) ? [] : [`${path} imports ${file}`])),
    );
    expect(broken).toEqual([]);
  });

  it('take zod only in its small form', () => {
    const broken = sources.flatMap(({ path, imports }) =>
      imports.flatMap(({ specifier }) => (/^zod(?!\/mini$)/.test(specifier) ? [`${path} imports ${specifier}`] : [])),
    );
    expect(broken).toEqual([]);
  });
});
