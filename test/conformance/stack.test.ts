import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createStacks } from '../../src/stacks/registry.ts';
import { bundle } from '../support/bundle.ts';
import { stackConformance, type StackCase } from './stack.suite.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fixture = (name: string): string => join(root, 'test/fixtures/apps', name);
const template = (name: string): string => join(root, 'templates', name);

/** The file server as scripts/build.js makes it. */
const readAsset = async (): Promise<string> =>
  readFileSync(await bundle('src/stacks/static-server/main.ts', 'static-server.js'), 'utf8');

/** What `paas init` does. */
function fillIn(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) fillIn(path);
    else writeFileSync(path, readFileSync(path, 'utf8').replaceAll('{{name}}', 'sample'));
  }
}

const starter = { prepare: fillIn, env: { PAAS_APP_NAME: 'sample', PAAS_RELEASE: 'v7', PAAS_INSTANCE: 'web.2' } };
const page = { '/healthz': /^ok\n$/, '/': /<h1>sample<\/h1>[\s\S]*<dd>v7<\/dd>[\s\S]*<dd>web\.2<\/dd>/ };

/** A wheel with a console script, made by hand so that no package index is needed. */
function addWheel(directory: string): void {
  const script = `
import sys, zipfile
info = 'greet-1.0.dist-info'
files = {
    'greet.py': 'import http.server, os, sys\\n\\nclass Handler(http.server.BaseHTTPRequestHandler):\\n    def do_GET(self):\\n        self.send_response(200)\\n        self.end_headers()\\n        self.wfile.write(f"hello from {sys.prefix}".encode())\\n\\ndef serve():\\n    http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()\\n',
    f'{info}/METADATA': 'Metadata-Version: 2.1\\nName: greet\\nVersion: 1.0\\n',
    f'{info}/WHEEL': 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n',
    f'{info}/entry_points.txt': '[console_scripts]\\ngreet-serve = greet:serve\\n',
}
files[f'{info}/RECORD'] = ''.join(f'{name},,\\n' for name in files) + f'{info}/RECORD,,\\n'
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
`;
  mkdirSync(join(directory, 'vendor'));
  execFileSync('python3', ['-', join(directory, 'vendor/greet-1.0-py3-none-any.whl')], { input: script });
  writeFileSync(join(directory, 'requirements.txt'), './vendor/greet-1.0-py3-none-any.whl\n');
}

/** Compiles and packs the sources, and leaves only the jar. */
function intoJar(directory: string): void {
  execFileSync('javac', ['-d', 'out', 'Hello.java'], { cwd: directory });
  execFileSync('jar', ['cfe', 'hello.jar', 'com.example.Hello', '-C', 'out', '.'], { cwd: directory });
  rmSync(join(directory, 'out'), { recursive: true });
  rmSync(join(directory, 'Hello.java'));
}

/** A project whose Maven wrapper does what Maven would: it leaves jars in target/. */
function addMavenWrapper(directory: string): void {
  const lines = [
    '#!/bin/sh',
    'set -e',
    'case "$*" in *-DskipTests*package) ;; *) exit 9 ;; esac',
    'mkdir -p target/classes',
    'javac -d target/classes src/Hello.java',
    'jar cfe target/hello-1.2.jar com.example.Hello -C target/classes .',
    'touch target/hello-1.2-sources.jar target/original-hello-1.2.jar',
  ];
  mkdirSync(join(directory, 'src'));
  renameSync(join(directory, 'Hello.java'), join(directory, 'src/Hello.java'));
  writeFileSync(join(directory, 'mvnw'), `${lines.join('\n')}\n`);
  writeFileSync(join(directory, 'pom.xml'), '<project/>');
}

const cases: StackCase[] = [
  {
    title: 'the node template',
    stack: 'node',
    source: template('node'),
    ...starter,
    answers: page,
    logs: /GET \/ 200/,
    builds: false,
  },
  {
    title: 'the python template',
    stack: 'python',
    source: template('python'),
    ...starter,
    answers: page,
    logs: /GET \/ 200/,
    builds: false,
  },
  {
    title: 'the java template',
    stack: 'java',
    source: template('java'),
    ...starter,
    answers: page,
    logs: /GET \/ 200/,
    builds: true,
  },
  {
    title: 'the static template',
    stack: 'static',
    source: template('static'),
    prepare: fillIn,
    answers: { '/': /<h1>sample<\/h1>/, '/style.css': /font:/, '/nothing': /There is no such page/ },
    logs: /GET \/ 200/,
    builds: false,
  },
  {
    title: 'a node app with a build script and a linked package',
    stack: 'node',
    source: fixture('node-build'),
    answers: { '/': /hello build/ },
    builds: true,
  },
  {
    title: 'an Express app with packages from the registry',
    stack: 'node',
    source: fixture('node-express'),
    command: 'npm start',
    answers: { '/': /Hello from Express/, '/env/NODE_ENV': /^production$/, '/main.css': /sans-serif/ },
    builds: true,
    network: true,
  },
  {
    title: 'a Cloud Foundry app in node',
    stack: 'node',
    source: fixture('node-cloudfoundry'),
    env: { VCAP_APPLICATION: '{"application_name":"cf-node"}', GREETING: 'Hello' },
    answers: { '/': /Hello from cf-node/, '/health': /UP/ },
    builds: false,
  },
  {
    title: 'a node app with web and worker',
    stack: 'node',
    source: fixture('node-web-worker'),
    command: 'node web.js',
    answers: { '/?above=10': /"prime":11/ },
    builds: false,
  },
  {
    title: 'a python app of the standard library, started with `python`',
    stack: 'python',
    source: fixture('python-stdlib'),
    command: 'python app.py',
    answers: { '/': /Hello from Python/, '/count': /"count": 1/ },
    logs: /Serving on port/,
    builds: false,
  },
  {
    title: 'a python app with a console script from a wheel',
    stack: 'python',
    source: fixture('python-stdlib'),
    prepare: addWheel,
    command: 'greet-serve',
    answers: { '/': /^hello from .*\/(first|second)\/app\/\.paas\/venv$/ },
    builds: true,
  },
  {
    title: 'a java app of one file',
    stack: 'java',
    source: fixture('java-main'),
    env: { MEMORY_LIMIT: '256M' },
    answers: { '/': /^heap 12[0-9]\n$/ },
    builds: true,
  },
  {
    title: 'a java app with a Maven wrapper',
    stack: 'java',
    source: fixture('java-main'),
    prepare: addMavenWrapper,
    env: { MEMORY_LIMIT: '1G' },
    answers: { '/': /^heap 7[0-9][0-9]\n$/ },
    builds: true,
  },
  {
    title: 'a java app as a jar',
    stack: 'java',
    source: fixture('java-main'),
    prepare: intoJar,
    env: { MEMORY_LIMIT: '256M' },
    answers: { '/': /^heap 12[0-9]\n$/ },
    builds: false,
  },
  {
    title: 'a static site',
    stack: 'static',
    source: fixture('static-site'),
    answers: { '/': /Hello from a static site/, '/docs/': /Docs/, '/.hidden': /Nothing here/ },
    builds: false,
  },
  {
    title: 'a static site in the root, without a Staticfile',
    stack: 'static',
    source: fixture('static-site/public'),
    answers: { '/': /Hello from a static site/, '/.paas/static-server.mjs': /Nothing here/ },
    builds: false,
  },
  {
    title: 'a Procfile and a shell script',
    stack: 'procfile',
    source: fixture('procfile-shell'),
    command: 'sh start.sh',
    answers: { '/': /hello from a shell script/ },
    builds: false,
  },
  {
    title: 'a Procfile and a build command',
    stack: 'procfile',
    source: fixture('procfile-shell'),
    prepare: (directory) => renameSync(join(directory, 'start.sh'), join(directory, 'start.in')),
    app: { build: 'cp start.in start.sh' },
    command: 'sh start.sh',
    answers: { '/': /hello from a shell script/ },
    builds: true,
  },
];

stackConformance(createStacks(readAsset), cases);
