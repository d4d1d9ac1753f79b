/** Says which version it is; answers a POST with what it got. */
import { createServer } from 'node:http';
import { version } from './version.js';

const server = createServer((request, response) => {
  if (request.method === 'POST') request.pipe(response);
  else response.end(`version ${version}\n`);
});
server.keepAliveTimeout = 120_000;
server.listen(process.env.PORT);
process.on('SIGTERM', () => {
  server.close();
  server.closeIdleConnections();
});
