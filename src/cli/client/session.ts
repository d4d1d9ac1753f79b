/** The WebSocket of `paas exec` and `paas run`. */
import type { WebSocket } from 'ws';
import { PaasError } from '../../shared/errors.ts';
import { signRequest } from '../../shared/signing/index.ts';
import { answerError, connectionProblem, readBody } from './answers.ts';
import { throwIfAborted, type Client } from './client.ts';
import { ConnectionError, trust } from './http.ts';

/**
 * Opens a session's WebSocket (signed like any request) and resolves when it is open; what goes over it is in
 * contracts/agent.ts. It is paused: add listeners (also for `error`), then call `resume()`. Throws what the server answered instead, `unavailable`, or `interrupted`.
 */
export async function openSession(client: Client, path: string, signal?: AbortSignal): Promise<WebSocket> {
  // Loaded here, since no other command needs it.
  const { WebSocket: Socket } = await import('ws');
  throwIfAborted(signal);
  const { platform } = client.connection;
  const url = client.connection.url(path).replace(/^http/, 'ws');
  const key = { keyId: platform.keyId, secret: platform.keySecret };
  const headers = signRequest({ method: 'GET', url, headers: {} }, key);
  const socket = new Socket(url, { headers, handshakeTimeout: 30_000, ...trust(platform) });
  try {
    await opened(socket, client, signal);
    return socket;
  } catch (error) {
    socket.on('error', () => undefined); // Ending a handshake is an error of its own.
    socket.terminate();
    throw error;
  }
}

function opened(socket: WebSocket, client: Client, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      signal?.removeEventListener('abort', aborted);
      socket.removeAllListeners();
      act();
    };
    const aborted = (): void => {
      settle(() => reject(new PaasError('interrupted', 'Interrupted.', { hint: '' })));
    };
    signal?.addEventListener('abort', aborted);
    // Messages may arrive with the answer: hold them until the caller listens.
    socket.once('open', () => {
      socket.pause();
      settle(resolve);
    });
    socket.once('unexpected-response', (_request, answer) => {
      readBody(answer)
        .catch(() => '') // Cut short: then it tells no reason either.
        .then((text) => settle(() => reject(answerError(answer, text, client.url))), reject);
    });
    socket.once('error', (error) => {
      settle(() => reject(connectionProblem(new ConnectionError(error.message, false, error), client.url, false)));
    });
  });
}
