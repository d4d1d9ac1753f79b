/** `paas run` and `paas exec`: this terminal, or these pipes, become those of a process of the app. */
import type { WebSocket } from 'ws';
import { PaasError } from '../../shared/errors.ts';
import { openSession } from '../client/index.ts';
import type { AppScope, Context } from '../command/context.ts';

export interface SessionAnswer {
  session: string | null;
  path: string | null;
  instance: string;
}

/** Whether both ends are terminals; then the process gets one too, of this size. */
export function terminalOf({ ui }: Context): { columns: number; rows: number } | undefined {
  const { stdin, stdout } = ui.streams;
  if (!stdin.isTTY || !stdout.isTTY || ui.json) return undefined;
  return { columns: stdout.columns || 80, rows: stdout.rows || 24 };
}

/** Input that may be on its way, in bytes: more is read only as the process takes it. */
const inputWindow = 512 * 1024;
/** An agent that has not said by then what was taken does not know how to. */
const unheardMs = 2000;

interface Message {
  type: string;
  bytes?: number;
  stream?: 'stdout' | 'stderr';
  data?: string;
  code?: number;
  error?: string;
}

/**
 * Connects standard input and output with a session until its process ends.
 * @returns the process's exit code
 * @throws PaasError outcome_unknown when the connection breaks, host_failed when the process could not be started or kept
 */
export async function attach(
  context: Context & { app: AppScope },
  answer: SessionAnswer,
  isTerminal: boolean,
): Promise<number> {
  const { client, signal, ui } = context;
  const { session, path } = answer;
  if (session === null || path === null) throw new PaasError('internal', 'The platform prepared no session.');
  const socket = await openSession(client, path, signal);
  const send = (message: Record<string, unknown>): void => {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify({ ...message, session }));
  };
  // Ctrl-C is for the process at the other end; how it takes it decides when we end.
  const interrupt = (): void => send({ type: 'sessionSignal', signal: 'SIGINT' });
  signal.addEventListener('abort', interrupt);
  const input = forwardInput(ui.streams.stdin, isTerminal, send);
  try {
    const exit = await output(context, socket, input.taken);
    if (exit.error !== undefined)
      throw new PaasError('host_failed', `The session of ${answer.instance} ended: ${exit.error}.`, {
        hint: `See \`paas events${context.app.flags}\`.`,
      });
    return exit.code ?? 0;
  } finally {
    input.stop();
    signal.removeEventListener('abort', interrupt);
    socket.terminate();
  }
}

function forwardInput(
  stdin: NodeJS.ReadStream,
  isTerminal: boolean,
  send: (message: Record<string, unknown>) => void,
): { taken: (bytes: number) => void; stop: () => void } {
  let onTheWay = 0;
  let bounded = true;
  let unheard: NodeJS.Timeout | undefined;
  let heard = false;
  const flow = (): void => {
    if (!bounded || onTheWay < inputWindow) {
      stdin.resume();
      return;
    }
    stdin.pause();
    if (heard) return;
    unheard ??= setTimeout(() => {
      bounded = false;
      flow();
    }, unheardMs);
  };
  const data = (chunk: Buffer): void => {
    send({ type: 'sessionInput', data: chunk.toString('base64') });
    onTheWay += chunk.length;
    if (onTheWay >= inputWindow) flow();
  };
  const end = (): void => send({ type: 'sessionInput', data: null });
  if (isTerminal) stdin.setRawMode(true);
  stdin.on('data', data).once('end', end);
  stdin.resume();
  return {
    taken: (bytes) => {
      clearTimeout(unheard);
      heard = true;
      bounded = true;
      onTheWay -= bytes;
      flow();
    },
    stop: () => {
      clearTimeout(unheard);
      stdin.off('data', data).off('end', end);
      stdin.pause();
      if (isTerminal) stdin.setRawMode(false);
    },
  };
}

/** Prints what comes, in order and no faster than the reader takes it, up to the end of the process. */
function output(
  { ui, app }: Context & { app: AppScope },
  socket: WebSocket,
  taken: (bytes: number) => void,
): Promise<Message> {
  let written = Promise.resolve();
  let waiting = 0;
  const put = async ({ stream, data = '' }: Message): Promise<void> => {
    const bytes = Buffer.from(data, 'base64');
    if (ui.json) await ui.write(JSON.stringify({ stream, data: bytes.toString('utf8') }) + '\n');
    else await (stream === 'stderr' ? ui.writeErr(bytes) : ui.write(bytes));
    waiting -= 1;
    if (waiting === 0 && socket.isPaused) socket.resume();
  };
  return new Promise((resolve, reject) => {
    let isOver = false;
    socket.on('message', (text: Buffer) => {
      const message = JSON.parse(text.toString('utf8')) as Message;
      if (message.type === 'sessionOutput') {
        waiting += 1;
        socket.pause();
        written = written.then(() => put(message));
      } else if (message.type === 'sessionTaken') taken(message.bytes ?? 0);
      else if (message.type === 'sessionExit') {
        isOver = true;
        written.then(() => resolve(message), reject);
      }
    });
    socket.on('error', () => undefined); // followed by close
    socket.on('close', () => {
      if (isOver) return;
      const hint = `It may still run; see \`paas ps${app.flags}\` and \`paas logs${app.flags}\`.`;
      written.then(
        () => reject(new PaasError('outcome_unknown', 'The connection to the process broke.', { hint })),
        reject,
      );
    });
    socket.resume();
  });
}
