/** Which stack does what a buildpack of Cloud Foundry or Heroku does. */
import type { Problems } from './problems.ts';
import type { Position } from './tree.ts';

const stackByWord = new Map([
  ['node', 'node'],
  ['nodejs', 'node'],
  ['python', 'python'],
  ['java', 'java'],
  ['static', 'static'],
  ['staticfile', 'static'],
  ['binary', 'procfile'],
  ['procfile', 'procfile'],
]);

/** `nodejs_buildpack`, `heroku/nodejs`, `https://github.com/cloudfoundry/nodejs-buildpack.git#v1.8`: `node`. */
export function stackOfBuildpack(buildpack: string): string | undefined {
  const withoutRef = buildpack.split(/[#?]/, 1)[0] ?? '';
  const last = withoutRef.replace(/\/+$/, '').split(/[/:]/).at(-1) ?? '';
  for (const word of last.toLowerCase().split(/[^a-z0-9]+/)) {
    const stack = stackByWord.get(word);
    if (stack !== undefined) return stack;
  }
  return undefined;
}

/** The stack for a list of buildpacks, of which the last one starts the app. What finds no stack is warned about. */
export function stackOfBuildpacks(buildpacks: string[], at: Position, problems: Problems): string | undefined {
  const main = buildpacks.at(-1);
  if (main === undefined) return undefined;
  const stack = stackOfBuildpack(main);
  // A URL may hold credentials; its last part says enough.
  const name = (buildpack: string): string => `\`${buildpack.split('/').at(-1) ?? ''}\``;
  if (stack === undefined) {
    problems.warn(`no stack stands for the buildpack ${name(main)}; the stack is detected from the source`, at);
  }
  const others = buildpacks.slice(0, -1).filter((other) => stackOfBuildpack(other) !== stack || stack === undefined);
  if (others.length > 0) {
    problems.warn(
      `one stack builds an app: of the buildpacks only the last is used, not ${others.map(name).join(', ')}`,
      at,
    );
  }
  return stack;
}
