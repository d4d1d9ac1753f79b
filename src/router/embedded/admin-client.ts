/** The driver's side of the control socket. */
import { request } from 'node:http';
import * as z from 'zod/mini';
import { routerStatus, routerTraffic, type RouterStatus, type RouterTraffic } from '../../shared/contracts/routes.ts';
import { errnoOf, fromErrorBody, PaasError } from '../../shared/errors.ts';

const errorAnswer = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string(),
    details: z.record(z.string(), z.unknown()),
  }),
});

/** Larger than the time a busy machine takes for a table of 10,000 routes and its fsync. */
const timeoutMs = 15_000;

/**
 * What is in force, after `table` (as JSON) is, where one is given.
 * @throws PaasError `unavailable` (nobody listens, or the router broke off), `timeout`, or what the router answered
 */
export async function callRouter(socketPath: string, table?: string): Promise<RouterStatus> {
  const answer = await (table === undefined ? send(socketPath, 'GET /status') : send(socketPath, 'PUT /table', table));
  return routerStatus.parse(answer);
}

/** @throws PaasError as `callRouter` */
export async function readTraffic(socketPath: string): Promise<RouterTraffic> {
  return routerTraffic.parse(await send(socketPath, 'GET /traffic'));
}

/** One call over the control socket: its answer, unread. */
function send(socketPath: string, call: string, body = ''): Promise<unknown> {
  const [method = '', path = ''] = call.split(' ');
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void => {
      if (cause instanceof PaasError) reject(cause);
      else reject(unreachable(cause, socketPath));
    };
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const outgoing = request({ socketPath, method, path, headers, agent: false, timeout: timeoutMs }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', failed);
      response.on('end', () => {
        try {
          resolve(readAnswer(response.statusCode ?? 0, Buffer.concat(parts).toString('utf8')));
        } catch (error) {
          failed(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
    outgoing.on('timeout', () => {
      outgoing.destroy(new PaasError('timeout', `The router did not answer ${call} within ${timeoutMs / 1000} s.`));
    });
    outgoing.on('error', failed);
    outgoing.end(body);
  });
}

function readAnswer(status: number, text: string): unknown {
  const answer: unknown = JSON.parse(text);
  if (status === 200) return answer;
  throw fromErrorBody(errorAnswer.parse(answer).error);
}

function unreachable(cause: Error, socketPath: string): PaasError {
  const reason = errnoOf(cause) ?? cause.message;
  return new PaasError('unavailable', `The router does not answer at ${socketPath} (${reason}).`, {
    hint: 'It is started again by itself; see `paas status`.',
    cause,
  });
}
