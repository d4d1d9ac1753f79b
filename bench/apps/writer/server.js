/** Prints on request: /burst?lines=N in one go, /tick?rate=N&seconds=N steadily, each line with the time of its writing. */
import { createServer } from 'node:http';
import { burst } from './burst.js';

const commands = {
  '/burst': (query, response) => response.end(String(burst(Number(query.get('lines'))))),
  '/tick': (query, response) => {
    tick(Number(query.get('rate')), Number(query.get('seconds')));
    response.end('ticking');
  },
};

/** The monotonic clock is the same for all processes of a machine. */
function tick(rate, seconds) {
  const started = process.hrtime.bigint();
  let written = 0;
  const timer = setInterval(() => {
    const due = Math.floor((Number(process.hrtime.bigint() - started) / 1e9) * rate);
    for (; written < due; written++) console.log(`tick ${written} at ${process.hrtime.bigint()}`);
    if (written >= rate * seconds) clearInterval(timer);
  }, 1);
}

createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://app');
  const command = commands[pathname];
  if (command) command(searchParams, response);
  else response.end('ok');
}).listen(process.env.PORT);
