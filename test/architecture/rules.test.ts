/** What a source may do besides importing: speak, exit, start processes, know the time, describe the wire. */
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { closure, Exceptions, lineOf, source, sources, visit } from './support/sources.ts';

/** Nodes of all sources for which `look` answers a text, as `path:line text`, unless the path is excused. */
function findings(look: (node: ts.Node, path: string) => string | null, excused: (path: string) => boolean): string[] {
  const found: string[] = [];
  for (const { path, tree } of sources) {
    visit(tree, (node) => {
      const text = look(node, path);
      if (text !== null && !excused(path)) found.push(`${path}:${lineOf(tree, node)} ${text}`);
    });
  }
  return found;
}

/** `object.name` as it stands in the source, for property accesses. */
const member = (node: ts.Node): string | null =>
  ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)
    ? `${node.expression.text}.${node.name.text}`
    : null;

describe('the terminal', () => {
  it('is written to by cli/ui alone', () => {
    const programs = new Exceptions({
      'src/control/main.ts': 'the server logs to standard error, for whatever supervises it',
      'src/stacks/static-server/main.ts': 'a program of its own inside of an app: its output is the app log',
    });
    const found = findings(
      (node) => {
        const name = member(node) ?? '';
        return /^(process\.(stdout|stderr)|console\..+)$/.test(name) ? name : null;
      },
      (path) => path.startsWith('src/cli/ui/') || programs.excuse(path),
    );
    expect(found).toEqual([]);
    expect(programs.unused).toEqual([]);
  });
});

describe('processes', () => {
  it('end only in bin/', () => {
    const found = findings(
      (node) => (/^process\.(exit|reallyExit|abort)$/.test(member(node) ?? '') ? 'ends the process' : null),
      () => false,
    );
    expect(found).toEqual([]);
  });

  it('are started only where the design says', () => {
    const starters = /^src\/(agent\/(runtimes|steps)|localcloud)\//;
    const others = new Exceptions({
      'src/cli/platform/spawn.ts': '`paas up` starts the parts of a platform',
      'src/router/embedded/handover.ts': 'the router process that takes over from this one',
      'src/cli/source/git.ts': 'the git source adapter',
      'src/cli/source/svn.ts': 'the svn source adapter',
    });
    const found = sources.flatMap(({ path, imports }) =>
      imports
        .filter(
          ({ specifier, typeOnly }) =>
            !typeOnly && /^(node:)?(child_process|cluster)$|^(execa|simple-git)$/.test(specifier),
        )
        .filter(() => !starters.test(path) && !others.excuse(path))
        .map(({ specifier, line }) => `${path}:${line} imports ${specifier}`),
    );
    expect(found).toEqual([]);
    expect(others.unused).toEqual([]);
  });
});

describe('planning', () => {
  const pure = [
    'src/engines/agents/placement.ts',
    'src/control/rollout/machine.ts',
    'src/control/rollout/analysis.ts',
    'src/control/traffic/counts.ts',
    'src/control/deploy/diff.ts',
    'src/control/deploy/scale.ts',
    'src/router/table.ts',
  ];

  it.each(pure)('%s has neither input nor output', (path) => {
    // Hashes are functions; node:crypto comes with shared/ids.ts too, whose random ids no planning file asks for.
    const { files, packages } = closure(path);
    expect([...packages.keys()].filter((name) => name !== 'node:crypto' && name !== 'zod/mini')).toEqual([]);
    expect(files.filter((file) => /\/(store|api|reconcile|agents)\//.test(file) && file !== path)).toEqual([]);
  });

  it.each(pure)('%s knows neither clock nor chance', (path) => {
    const found: string[] = [];
    const { tree } = source(path);
    visit(tree, (node) => {
      const name = member(node) ?? '';
      const clock = /^(Date\.now|performance\.now|Math\.random)$/.test(name);
      const date = ts.isNewExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'Date';
      const chance = ts.isIdentifier(node) && /^(random(Bytes|UUID|Int)|newId|newSecret)$/.test(node.text);
      if (clock || date || chance) found.push(`${path}:${lineOf(tree, node)}`);
    });
    expect(found).toEqual([]);
  });

  it.each(pure)('%s decides at once', (path) => {
    const found: string[] = [];
    visit(source(path).tree, (node) => {
      if (ts.isAwaitExpression(node) || node.kind === ts.SyntaxKind.AsyncKeyword) found.push(path);
    });
    expect(found).toEqual([]);
  });
});

describe('wire shapes', () => {
  const makers = /^z\.(object|strictObject|looseObject|union|discriminatedUnion|record|array|tuple|extend)$/;

  it('are described in shared/contracts alone', () => {
    const places = new Exceptions(schemasElsewhere);
    const found = findings(
      (node) => (makers.test(member(node) ?? '') ? member(node) : null),
      (path) => path.startsWith('src/shared/contracts/') || places.excuse(path),
    );
    expect([...new Set(found.map((line) => line.replace(/:.*/, '')))]).toEqual([]);
    expect(places.unused).toEqual([]);
  });
});

/** Schemas of what one part writes and reads again itself, or of formats that others have fixed. */
const schemasElsewhere: Readonly<Record<string, string>> = {
  'src/agent/enrol.ts': "file of the agent: its key, and the user-data's place",
  'src/agent/logs/source.ts': 'file of the agent: how far an instance’s output was read',
  'src/agent/steps/build-cache.ts': 'file of the agent: what a cached output was made of',
  'src/agent/steps/build-logs.ts': 'file of the agent: a build’s output that waits to be sent',
  'src/agent/steps/journal.ts': 'file of the agent: the journal of steps',
  'src/agent/steps/tools.ts': 'output of foreign tools',
  'src/agent/supervisor/record.ts': 'file of the agent: the record of an instance',
  'src/cli/platform/config.ts': 'what `paas up` reads of the server’s configuration file',
  'src/cli/platform/files.ts': 'file of the CLI: where a platform of this machine has its hosts',
  'src/cli/platform/processes.ts': 'files and log lines of the programs that `paas up` starts',
  'src/clouds/speedycloud/api.ts': 'the driver’s own configuration',
  'src/control/certificates/acme/problem.ts': 'problem documents, which RFC 8555 has fixed',
  'src/control/config.ts': 'the server’s configuration file',
  'src/control/sessions/sessions.ts': 'a union of two contracts',
  'src/localcloud/client.ts': 'file of the embedded cloud: where it listens',
  'src/localcloud/routes.ts': 'the administration of the embedded cloud, which only it and its own client speak',
  'src/localcloud/state.ts': 'file of the embedded cloud: its hosts',
  'src/router/embedded/admin-client.ts': 'the router’s own socket, between driver and program of one build',
  'src/router/embedded/handover.ts': 'messages between two processes of the router',
  'src/router/embedded/layout.ts': 'file of the router: where it listens',
  'src/router/embedded/options.ts': 'file of the router: its options',
  'src/router/nginx/layout.ts': 'file of the router: which nginx runs',
  'src/router/nginx/shape.ts': 'file of the router: what nginx has in its configuration',
  'src/router/embedded/table-file.ts': 'the outside of a table, whose parts are of the contract',
  'src/shared/data-format.ts': 'file: the version of a data directory',
  'src/shared/lock-file.ts': 'file: who holds a lock',
  'src/stacks/support/node-manifest.ts': 'package.json, which npm has fixed',
};

describe('drivers', () => {
  it('are chosen by their registry, never by comparing names', () => {
    const names = new Set(['driver', 'engine', 'runtime', 'stack', 'cloud']);
    const found = findings(
      (node) => {
        if (!ts.isBinaryExpression(node)) return null;
        const { operatorToken, left, right } = node;
        const equality =
          operatorToken.kind === ts.SyntaxKind.EqualsEqualsEqualsToken ||
          operatorToken.kind === ts.SyntaxKind.ExclamationEqualsEqualsToken;
        const subject = ts.isPropertyAccessExpression(left) ? left.name.text : ts.isIdentifier(left) ? left.text : '';
        return equality && names.has(subject) && ts.isStringLiteralLike(right) ? node.getText() : null;
      },
      (path) => /\/(registry|detect)\.ts$/.test(path),
    );
    expect(found).toEqual([]);
  });
});
