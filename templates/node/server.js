import { createServer } from 'node:http';
import { page } from './page.js';

const port = Number(process.env.PORT ?? 3000);

const server = createServer((request, response) => {
  const started = Date.now();
  const path = request.url.split('?')[0];
  response.on('close', () =>
    console.log(`${request.method} ${path} ${response.statusCode} ${Date.now() - started}ms`),
  );
  if (path === '/healthz') {
    response.writeHead(200, { 'Content-Type': 'text/plain' }).end('ok\n');
  } else if (path === '/') {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(page(process.env));
  } else {
    response.writeHead(404, { 'Content-Type': 'text/plain' }).end('Not found\n');
  }
});

// Longer than the router keeps a connection, so that it is never closed just as a request arrives.
server.keepAliveTimeout = 120_000;
server.listen(port, () => console.log(`listening on port ${port}`));

// The platform asks an instance to stop by SIGTERM: finish what is under way, take nothing new.
process.on('SIGTERM', () => {
  console.log('stopping');
  server.close();
  server.closeIdleConnections();
});
