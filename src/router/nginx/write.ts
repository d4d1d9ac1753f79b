/** What nginx reads of the driver, on disk: its configuration and its Lua modules. */
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { writeIfOther } from '../../shared/files.ts';
import type { RouterConfig } from '../port.ts';
import { makeConfiguration, type Configuration } from './configuration.ts';
import type { NginxFiles, Running } from './layout.ts';
import { luaFiles } from './lua/index.ts';
import { tcpJs } from './lua/tcp.ts';
import { pagesLua } from './page-texts.ts';
import { findNginx } from './programs.ts';
import type { Shape } from './shape.ts';
import { streamText } from './stream.ts';

/** What the memory that workers share is made for: another number takes a new master. */
export const workerCount = (): number => availableParallelism();

export type Ports = Pick<Running, 'port' | 'tlsPort'>;

export function configurationOf(config: RouterConfig, files: NginxFiles, shape: Shape, ports: Ports): Configuration {
  const { directory, address, responseTimeoutMs = 60_000, trustedProxies = [] } = config;
  return makeConfiguration({
    ...{ directory, files, program: findNginx(), address, port: ports.port, epoch: randomUUID() },
    ...{ tlsPort: shape.tls ? ports.tlsPort : undefined, workers: workerCount() },
    ...{ root: process.getuid?.() === 0, responseMs: responseTimeoutMs, trustedProxies },
    ...{ locations: shape.locations, bodies: shape.bodies },
    stream: streamText(shape.tcp, address, join(files.lua, 'tcp.js')),
  });
}

/** File by file, each whole or not at all: a full disk leaves what was there. The configuration comes last. */
export function writeConfiguration(files: NginxFiles, { text, settings }: Configuration): void {
  const modules = join(files.lua, 'paas');
  mkdirSync(modules, { recursive: true, mode: 0o700 });
  const lua = { ...luaFiles, 'pages.lua': pagesLua(), 'settings.lua': settings };
  for (const [name, content] of Object.entries(lua)) writeIfOther(join(modules, name), content);
  writeIfOther(join(files.lua, 'tcp.js'), tcpJs(files.tcp));
  writeIfOther(files.configuration, text);
}
