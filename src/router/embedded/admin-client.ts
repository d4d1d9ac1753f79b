/** The driver's side of the control socket. */
import * as z from 'zod/mini';
import { routerStatus, routerTraffic, type RouterStatus, type RouterTraffic } from '../../shared/contracts/routes.ts';
import { fromErrorBody, PaasError } from '../../shared/errors.ts';
import { callSocket, unreachable } from '../control-socket.ts';

const errorAnswer = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string(),
    details: z.record(z.string(), z.unknown()),
  }),
});

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
async function send(socketPath: string, call: string, body?: string): Promise<unknown> {
  const { status, text } = await callSocket(socketPath, call, body);
  try {
    return readAnswer(status, text);
  } catch (error) {
    if (error instanceof PaasError) throw error;
    throw unreachable(socketPath, error instanceof Error ? error.message : String(error), error as Error);
  }
}

function readAnswer(status: number, text: string): unknown {
  const answer: unknown = JSON.parse(text);
  if (status === 200) return answer;
  throw fromErrorBody(errorAnswer.parse(answer).error);
}
