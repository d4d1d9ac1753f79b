/** Says which version it is; answers a POST with what it got, and so it does on a connection that left HTTP. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { version } from './version.js';

const server = createServer((request, response) => {
  if (request.method === 'POST') request.pipe(response);
  else response.end(`version ${version}\n`);
});
server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
server.keepAliveTimeout = 120_000;
server.listen(process.env.PORT);
process.on('SIGTERM', () => {
  server.close();
  server.closeIdleConnections();
});
