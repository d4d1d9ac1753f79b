/** Files to be served as they are, by a file server that is put into the app; see static-server/. */
import { PaasError } from '../shared/errors.ts';
import type { BuildPlan, Stack } from './port.ts';
import { shellQuote } from './support/launch.ts';
import { emptyPlan, ownBuild } from './support/plan.ts';
import { readText } from './support/source.ts';

/** Where sites lie, the root itself first; after a build, where builds put them. */
const places = ['.', 'public', 'dist', 'build', '_site'];
const builtPlaces = ['dist', 'build', '_site', 'public', '.'];

// .mjs, so that a package.json beside it does not decide how Node reads it.
const program = '.paas/static-server.mjs';

/** @param readAsset text of a built program of the platform by its name in dist/ */
export function staticStack(readAsset: (name: string) => Promise<string>): Stack {
  return {
    name: 'static',
    version: 1,
    looksFor: 'Staticfile, or an index.html in the root, public/, dist/, build/ or _site/',

    async detect({ view }) {
      if ((await view.read('Staticfile')) !== null) return { reason: 'Staticfile', confidence: 'sure' };
      for (const place of places) {
        const index = place === '.' ? 'index.html' : `${place}/index.html`;
        if ((await view.digestOf(index)) !== null) return { reason: index, confidence: 'guess' };
      }
      return null;
    },

    async plan({ view, app }) {
      const settings = parseStaticfile((await readText(view, 'Staticfile')) ?? '');
      const roots = settings.root === undefined ? (app.build === undefined ? places : builtPlaces) : [settings.root];
      const words = ['node', program, '--root', roots.join(','), ...(settings.pushstate ? ['--pushstate'] : [])];
      const plan: BuildPlan = {
        ...emptyPlan('The static stack serves by itself; remove `stack: static` to run something else.'),
        commands: ownBuild(app),
        needs: [{ tool: 'node', reason: 'the file server of a static site runs on it' }],
        files: { [program]: { text: await readAsset('static-server.js'), mode: 0o644 } },
        defaultProcesses: { web: { kind: 'web', command: words.map(shellQuote).join(' ') } },
        env: { NODE_ENV: 'production' },
        warnings: settings.warnings,
      };
      if ((await view.read('Staticfile.auth')) !== null) {
        plan.warnings.push('Staticfile.auth is not supported: the site is served WITHOUT a password.');
      }
      return plan;
    },
  };
}

interface StaticfileSettings {
  root: string | undefined;
  pushstate: boolean;
  warnings: string[];
}

/**
 * A Staticfile of Cloud Foundry's staticfile-buildpack: lines of `key: value`, all optional. Keys other than `root` and
 * `pushstate` are named in a warning.
 * @throws PaasError source_invalid when the root lies outside the app.
 */
export function parseStaticfile(text: string): StaticfileSettings {
  const settings: StaticfileSettings = { root: undefined, pushstate: false, warnings: [] };
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.replace(/\s+#.*$|^#.*$/, '').trim();
    if (line === '' || line === '---') continue;
    const [, key, quoted] = /^([A-Za-z_]+)\s*:\s*(.*)$/.exec(line) ?? [];
    const value = quoted?.replace(/^(['"])(.*)\1$/, '$2') ?? '';
    if (key === 'root') settings.root = webRoot(value);
    else if (key === 'pushstate') settings.pushstate = /^(enabled|true)$/i.test(value);
    else if (!/^(disabled|false)$/i.test(value))
      settings.warnings.push(`Staticfile: '${key ?? line}' is not supported and has no effect.`);
  }
  return settings;
}

function webRoot(value: string): string {
  const root = value.replace(/^(\.\/)+/, '').replace(/\/+$/, '') || '.';
  if (root.startsWith('/') || root.includes(',') || root.split('/').includes('..')) {
    throw new PaasError('source_invalid', `Staticfile: root '${value}' is not a directory of the app.`, {
      hint: 'Give a directory below the root of the source: `root: public`.',
    });
  }
  return root;
}
