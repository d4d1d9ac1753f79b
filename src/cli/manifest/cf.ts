/** Cloud Foundry `manifest.yml`: chooses one application and turns its attributes into ours. */
import { PaasError } from '../../shared/errors.ts';
import { formatRoute, parseRoute } from '../../shared/routes-text.ts';
import { stackOfBuildpacks } from './buildpacks.ts';
import { cfApp, cfAppFields, type CfApp, type CfProcess } from './cf-schema.ts';
import { kindOf, newDraft, processOf, type Draft } from './draft.ts';
import { slugify } from './leaves.ts';
import type { Problems } from './problems.ts';
import { Reader } from './read.ts';
import { child, toData, type MapEntry, type MapNode, type TreeNode } from './tree.ts';

/** Whether a document is a Cloud Foundry manifest, by what only that format has. */
export function looksLikeCf(tree: TreeNode | undefined): boolean {
  return child(tree, 'applications') !== undefined;
}

/**
 * Reads the application `appName` of a manifest whose variables are filled in; without a name, its only one.
 * @throws PaasError not_found for a name that is not among several; usage for several without a name
 */
export function readCf(tree: TreeNode, appName: string | undefined, problems: Problems): Draft {
  const applications = child(tree, 'applications');
  if (tree.kind !== 'map' || applications?.kind !== 'list' || applications.items.length === 0) {
    const what = applications === undefined ? 'it has none' : 'it is not a list with an application in it';
    problems.add(applications?.at ?? tree.at, `a Cloud Foundry manifest has a list \`applications\`; ${what}`);
    return newDraft();
  }
  const chosen = choose(applications.items, appName, tree.at.file);
  const node = applications.items[chosen];
  if (node?.kind !== 'map') {
    problems.add(node?.at ?? tree.at, `\`applications[${chosen}]\` must be a map of keys and values`);
    return newDraft();
  }
  const prefix = `applications[${chosen}]`;
  const reader = new Reader(problems);
  const app = reader.read(cfApp, plainEnv(inherit(node, tree, problems)), prefix) ?? {};
  return toDraft(app, prefix, reader);
}

function choose(items: TreeNode[], appName: string | undefined, file: string): number {
  const names = items.map((item) => {
    const name = child(item, 'name');
    return name?.kind === 'scalar' ? name.text : '(no name)';
  });
  if (items.length === 1) return 0;
  const list = names.map((name) => `\`${name}\``).join(', ');
  if (appName === undefined) {
    throw new PaasError('usage', `${file} has ${items.length} applications: ${list}.`, {
      hint: `Say which one: \`paas push ${slugify(names[0] ?? '')}\`.`,
      details: { applications: names },
    });
  }
  const exact = names.indexOf(appName);
  const index = exact >= 0 ? exact : names.findIndex((name) => slugify(name) === appName);
  if (index >= 0) return index;
  throw new PaasError('not_found', `${file} has no application \`${appName}\`.`, {
    hint: `It has ${list}.`,
    details: { applications: names },
  });
}

/** The deprecated attributes above `applications`, which hold for every application that does not say otherwise. */
function inherit(app: MapNode, root: MapNode, problems: Problems): MapNode {
  const inherited: MapEntry[] = [];
  for (const entry of root.entries) {
    if (entry.key === 'applications' || entry.key === 'version') continue;
    if (entry.key === 'inherit') {
      problems.add(entry.at, '`inherit` is not read', 'copy what the other manifest says into this one');
    } else if (entry.key !== 'name' && Object.hasOwn(cfAppFields, entry.key)) {
      problems.warn(`\`${entry.key}\` above \`applications\` is deprecated; use an anchor`, entry.at);
      inherited.push(entry);
    } else if (entry.anchored !== true) {
      problems.warn(`\`${entry.key}\` has no effect: it is not a known attribute`, entry.at);
    }
  }
  return { ...app, entries: mergeEntries(app.entries, inherited) };
}

function mergeEntries(own: MapEntry[], inherited: MapEntry[]): MapEntry[] {
  const merged = own.map((entry) => {
    const above = inherited.find((other) => other.key === entry.key)?.value;
    if (entry.key !== 'env' || entry.value.kind !== 'map' || above?.kind !== 'map') return entry;
    return { ...entry, value: { ...entry.value, entries: mergeEntries(entry.value.entries, above.entries) } };
  });
  return [...merged, ...inherited.filter((entry) => own.every((other) => other.key !== entry.key))];
}

/** Cloud Foundry gives the app maps and lists as JSON, and null as an empty text. */
function plainEnv(app: MapNode): MapNode {
  const plain = (node: TreeNode): TreeNode => {
    if (node.kind === 'scalar' && node.value !== null) return node;
    const json = node.kind === 'scalar' ? '' : JSON.stringify(toData(node));
    return { kind: 'scalar', value: json, text: json, at: node.at };
  };
  const entries = app.entries.map((entry) => {
    if (entry.key !== 'env' || entry.value.kind !== 'map') return entry;
    const filled = entry.value.entries.map((variable) => ({ ...variable, value: plain(variable.value) }));
    return { ...entry, value: { ...entry.value, entries: filled } };
  });
  return { ...app, entries };
}

function toDraft(app: CfApp, prefix: string, reader: Reader): Draft {
  const { problems } = reader;
  const at = (path: string) => reader.positions.get(`${prefix}.${path}`) ?? reader.positions.get(prefix)!;
  const draft = newDraft();
  if (app.name !== undefined) draft.name = { text: app.name, at: at('name') };
  if (app.path !== undefined) draft.path = app.path;
  if (app.docker?.image !== undefined) draft.image = app.docker.image;
  if (app.env !== undefined) draft.app.config = app.env;
  const buildpacks = app.buildpacks ?? (app.buildpack === undefined ? [] : [app.buildpack]);
  const stack = stackOfBuildpacks(buildpacks, at(app.buildpacks === undefined ? 'buildpack' : 'buildpacks'), problems);
  if (stack !== undefined) draft.app.stack = stack;
  if (app['random-route'] === true)
    problems.warn('`random-route` has no effect: an app has an address of its own', at('random-route'));
  if (app.lifecycle === 'cnb') problems.warn('`lifecycle: cnb` has no effect: a stack builds the app', at('lifecycle'));
  const routes = app['no-route'] === true ? [] : readRoutes(app, prefix, reader);
  if (routes !== undefined) draft.app.routes = routes;
  readProcesses(app, draft, at, problems);
  return draft;
}

function readRoutes(app: CfApp, prefix: string, reader: Reader): string[] | undefined {
  if (app.routes === undefined) return undefined;
  const routes = new Set<string>();
  for (const [index, { route, protocol }] of app.routes.entries()) {
    const at = reader.positions.get(`${prefix}.routes[${index}]`)!;
    if (protocol === 'http2') reader.problems.warn('`protocol: http2` has no effect: instances get HTTP/1.1', at);
    if (route === undefined) {
      reader.problems.add(at, 'an item of `routes` must have the key `route`');
    } else if (protocol === 'tcp' || /^[^/]*:\d+$/.test(route)) {
      reader.problems.warn(
        `the TCP route \`${route}\` has no effect: use a process of type \`service\` in paas.yml`,
        at,
      );
    } else {
      try {
        routes.add(formatRoute(parseRoute(route)));
      } catch (thrown) {
        if (!(thrown instanceof PaasError)) throw thrown;
        reader.problems.add(at, thrown.message.replace(/\.$/, ''), thrown.hint);
      }
    }
  }
  return [...routes];
}

function readProcesses(app: CfApp, draft: Draft, at: (path: string) => MapNode['at'], problems: Problems): void {
  // What the application says itself is about `web`, which every application of Cloud Foundry has.
  const processes = new Map<string, CfProcess>([['web', app]]);
  const named = new Set<string>();
  for (const [index, entry] of (app.processes ?? []).entries()) {
    const type = slugify(entry.type ?? '');
    const here = at(`processes[${index}]`);
    if (type === '') problems.add(here, `\`processes[${index}]\` must have a \`type\` such as web or worker`);
    else if (named.has(type)) problems.add(here, `duplicate process type \`${type}\``);
    else {
      if (type !== entry.type)
        problems.warn(`the process type \`${entry.type ?? ''}\` is called \`${type}\` here`, here);
      processes.set(type, type === 'web' ? { ...app, ...entry } : entry);
    }
    named.add(type);
  }
  for (const [type, process] of processes) {
    const { command, instances, memory, timeout } = process;
    const checkType = process['health-check-type'];
    const path = process['health-check-http-endpoint'];
    const interval = process['health-check-interval'];
    if (path !== undefined && checkType !== undefined && checkType !== 'http') {
      problems.warn(`\`health-check-http-endpoint\` has no effect with \`health-check-type: ${checkType}\``, at(''));
    }
    const kind = kindOf(type);
    draft.app.processes[type] = processOf(kind, {
      ...(command === undefined || command === 'default' || command === 'null' ? {} : { command }),
      ...(instances === undefined ? {} : { instances }),
      ...(memory === undefined ? {} : { memory }),
      health: {
        ...(checkType === undefined ? {} : { type: checkType === 'none' ? 'process' : checkType }),
        ...(path === undefined ? {} : { path }),
        ...(timeout === undefined ? {} : { timeout }),
        ...(interval === undefined ? {} : { interval }),
      },
    });
  }
}
