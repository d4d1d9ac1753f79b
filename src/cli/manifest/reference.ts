/** docs/manifest.md out of the tables that read manifests, so that the page and the code cannot disagree. */
import { appJson } from './app-json.ts';
import { cfAppFields } from './cf-schema.ts';
import {
  analysisFields,
  healthFields,
  outlierFields,
  paasSchema,
  processFields,
  rolloutFields,
  routerFields,
} from './schema.ts';
import type { AnyType, Fields } from './types.ts';

/** A manifest that uses every key; read in a test. */
export const exampleManifest = `name: shop                      # DNS label
project: store
stack: node                     # optional: detected
base: host                      # base image
build: npm run build            # optional
release: npm run migrate        # optional: runs once before the rollout; failing stops it
processes:
  web:
    command: node server.js
    instances: 2
    memory: 256M
    cpu: 0.25
    health: { type: http, path: /healthz, timeout: 60s, interval: 10s }
    grace: 30s
  worker: { command: node worker.js, health: process }
  feed: { type: service, command: node feed.js }
  nightly: { type: cron, schedule: "0 3 * * *", command: node nightly.js }
routes: [shop.example.com, shop.example.com/api]
config: { LOG_LEVEL: info, BUILD: 007 }
rollout: { strategy: rolling, max_in_flight: 2 }
router: { max_connections: 100, queue: 50, rate: 20, max_body: 20M }
environments:                   # what differs in one environment
  prod: { routes: [shop.com], processes: { web: { instances: 4 } } }
`;

/** The whole of docs/manifest.md. */
export function manifestReference(): string {
  return `<!-- Generated from src/cli/manifest; \`npx vitest run --project unit test/unit/cli/manifest -u\` writes it anew. -->

# The manifest

\`paas push\` reads the first of these that the directory has, or the one that \`--manifest FILE\` names:

1. \`paas.yml\`, described here;
2. a Cloud Foundry \`manifest.yml\`;
3. a \`Procfile\`, an \`app.json\`, or both.

A \`Procfile\` beside a manifest supplies the commands, process types and release command that the manifest lacks. Flags come
before all of them. With none, the stack that recognises the source gives a \`web\` process.

\`\`\`yaml
${exampleManifest}\`\`\`

Unknown keys, duplicates and wrong types are refused, all in one go, with line, column and what was probably meant. Anchors,
aliases and merge keys (\`<<\`) work. A manifest has at most 1 MiB. Sizes are whole MiB, written \`256M\`, \`1G\`, \`1.5GB\`; times
\`500ms\`, \`60s\`, \`5m\`, \`1h30m\`. Instance counts and config hold at the first push, and afterwards only where the manifest's
own value changed: a push never undoes a \`paas scale\` or a \`paas config set\`.

## Top level
${table(paasSchema.fields)}
## \`processes.NAME\`
${table(processFields)}
## \`processes.NAME.health\`

Or one word: \`health: port\`, \`health: process\`, \`health: /healthz\`.
${table(healthFields)}
## \`rollout\`
${table(rolloutFields)}
## \`rollout.analysis\`

Or one word: \`analysis: off\`. At each step of a canary the new release is compared with the old one, over the requests since
the step was reached: as soon as it has \`min_requests\`, and until the step's end. A step whose time is over goes on even with
fewer. An old release with fewer than \`min_requests\` in the step is seen since the rollout began; where it has too few even
then, latency is not compared.
${table(analysisFields)}
## \`router\`

It belongs to the release that the push makes: it takes force when that is live, and \`paas rollback\` brings it back.
\`paas app\` shows it.
${table(routerFields)}
## \`router.outlier\`

Or one word: \`outlier: off\`. At most half of an app's instances are out at a time.
${table(outlierFields)}
## Cloud Foundry \`manifest.yml\`

One application of \`applications\`: the only one, or the one that \`paas push APP\` names. \`((variables))\` take their values from
\`--var NAME=VALUE\` and \`--vars-file FILE\`, nested (\`((db.password))\`) and of any type too. Attributes of the application are about
its \`web\` process. Attributes above \`applications\` are inherited, with a warning. What has no effect is named in a warning.

${foreign(cfAppFields)}
## Heroku \`Procfile\` and \`app.json\`

A Procfile has a line \`type: command\` for each process type. \`web\` gets HTTP, any other is a worker; \`release\` is not a process
type but the command that runs before each rollout. Types become DNS labels: \`my_worker\` is \`my-worker\`.

What \`app.json\` says under \`environments\` of the environment that is pushed to is laid over the rest.

${foreign(appJson.fields)}`;
}

function table(fields: Fields): string {
  const rows = Object.entries(fields).map(([key, { type, about, example, otherwise }]) => [
    code(key),
    mustBe(type),
    about,
    otherwise ?? '',
    example === undefined ? '' : code(example),
  ]);
  return `\n${markdown(['Key', 'Must be', 'Meaning', 'When absent', 'Example'], rows)}`;
}

/** Attributes of another format and what becomes of them. */
function foreign(fields: Fields): string {
  const rows = Object.entries(fields)
    .filter(([, { type }]) => type.kind !== 'dropped' || type.reason !== undefined)
    .map(([key, { type, about }]) => [code(key), type.kind === 'dropped' ? `No effect: ${about}` : about]);
  return markdown(['Attribute', 'Here'], rows);
}

function mustBe(type: AnyType): string {
  switch (type.kind) {
    case 'leaf':
    case 'list':
      return type.expected;
    case 'map':
      return `a map; each key ${type.keys.expected}`;
    case 'object':
      return type.shorthand?.expected ?? 'a map';
    case 'dropped':
      return 'anything';
  }
}

function markdown(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}

function code(text: string): string {
  return `\`${text}\``;
}
