/** `npm run quickstart`: from a clone to a live page, with every command shown as it would be typed. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { request } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { build, install, requireNode, root, run } from './lib.js';

const paas = join(root, 'bin/paas.js');
const home = process.env.PAAS_HOME || join(homedir(), '.paas');
const app = join(home, 'quickstart', 'hello');

requireNode();
install();
build();
up();
if (!existsSync(join(app, 'paas.yml'))) {
  mkdirSync(join(app, '..'), { recursive: true });
  show(['init', app]);
}
show(['push'], app);
const url = json(['app'], app).urls[0];
step(`curl ${url}`);
console.log(textOf(await get(url)));
show(['ps'], app);
show(['logs'], app);
console.log(`
It is live: ${url} (open it in a browser), and stays so. What next:

  cd ${app}
  alias paas='node ${paas}'
  paas logs -t                 follow its logs
  paas scale web=3             three instances
  paas config set COLOUR=red   an environment variable, rolled out without interruption
  paas push                    after a change of the code
  paas rollback                and back
  paas status                  the platform itself
  paas down                    stop it all; \`paas up\` brings everything back
`);

/** Ports that others use are no reason to fail here: any free ones will do. */
function up() {
  step('paas up');
  const { status } = spawnSync(process.execPath, [paas, 'up'], { stdio: 'inherit' });
  if (status === 6) show(['up', '--port', '0', '--router-port', '0']);
  else if (status !== 0) process.exit(status ?? 1);
}

function step(command) {
  console.log(`\n$ ${command}`);
}

function show(args, cwd = root) {
  step(`paas ${args.join(' ')}`);
  run(process.execPath, [paas, ...args], { cwd });
}

function json(args, cwd) {
  const { status, stdout } = spawnSync(process.execPath, [paas, ...args, '--json'], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) process.exit(status ?? 1);
  return JSON.parse(stdout);
}

/** Node does not resolve names below localhost; browsers and curl do. */
function get(address) {
  const { hostname, port } = new URL(address);
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path: '/', headers: { host: `${hostname}:${port}` } }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text) => (body += text));
      answer.on('end', () =>
        answer.statusCode === 200
          ? resolve(body)
          : reject(new Error(`${address} answers ${answer.statusCode}: ${body}`)),
      );
    });
    call.on('error', reject).end();
  });
}

/** What a reader of the page sees. */
function textOf(html) {
  const body = html.replace(/<(style|script|title)[\s\S]*?<\/\1>/g, '').replace(/<[^>]*>/g, ' ');
  return body
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter((line) => line !== '')
    .join('\n');
}
