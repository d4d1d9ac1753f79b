/** The embedded router's HTTP side in the test's own process, with limits that a test can wait for. */
import { Endpoints } from '../../../../../src/router/embedded/endpoints.ts';
import { defaultLimits, type HttpContext, type Limits } from '../../../../../src/router/embedded/http/context.ts';
import { HttpFront } from '../../../../../src/router/embedded/http/front.ts';
import { Http2Connections } from '../../../../../src/router/embedded/http2/connections.ts';
import { TlsFront } from '../../../../../src/router/embedded/tls/front.ts';

/**
 * @param app the port of the one instance that every request goes to
 * @returns also the statuses of the requests that have ended
 */
export async function frontTo(app: number, limits: Partial<Limits>) {
  const endpoints = new Endpoints();
  const ended: number[] = [];
  endpoints.update({
    backends: {
      a: {
        ...{ app: 'p/e/a', appId: 'a', state: 'serving' },
        endpoints: [{ instance: 'i', name: 'web.1', release: 1, address: '127.0.0.1', port: app }],
      },
    },
  });
  const context: HttpContext = {
    limits: { ...defaultLimits, ...limits },
    clients: new Set(),
    upstreams: new Set(),
    tunnels: new Set(),
    stopping: false,
    version: () => 1,
    route: () => ({ backend: 'a', https: false }),
    backend: () => endpoints.backend('a') ?? null,
    challenges: null,
    isTrusted: () => false,
    tlsPort: () => null,
    acceptHttp2: (socket) => http2.accept(socket),
    log: (_appId, entry) => void ended.push(entry.status),
  };
  const http2 = new Http2Connections(context);
  const front = new HttpFront(context, new TlsFront(context, { address: '127.0.0.1' }, '/nowhere'));
  const port = await front.listen('127.0.0.1', 0);
  return { port, context, ended, close: () => front.close(0) };
}
