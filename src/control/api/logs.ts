/** Endpoints of logs (NDJSON) and events (JSON, server-sent events). */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import * as api from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { publicEvent } from '../events/events.ts';
import type { FollowQuery, LogQuery } from '../logs/port.ts';
import { version } from '../../shared/version.ts';
import { endpoint, queryInt, type Call, type Endpoint } from './define.ts';
import { LogText } from './log-text.ts';
import { appOf, appPath } from './naming.ts';
import { heartbeatMs, openSse, Pulse } from './sse.ts';

export const logEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: `${appPath}/logs`,
    summary: 'Its logs as NDJSON; follow=1 goes on',
    role: 'viewer',
    response: api.logLine,
    handle: streamLogs,
  }),
  ...[
    { path: '/v1/events', app: false },
    { path: `${appPath}/events`, app: true },
  ].flatMap(({ path, app }) => [
    endpoint({
      method: 'GET',
      path,
      summary: 'What happened and who asked for it',
      role: 'viewer',
      response: api.eventsResponse,
      handle: async (call) => {
        const appId = app ? (await appOf(call)).id : undefined;
        const events = await call.control.events.list({ appId, limit: queryInt(call.query, 'n', 100, 10_000) });
        return { events: events.map(publicEvent) };
      },
    }),
    endpoint({
      method: 'GET',
      path: `${path}/stream`,
      summary: 'The same, live, as server-sent events',
      role: 'viewer',
      handle: async (call) => streamEvents(call, app ? (await appOf(call)).id : undefined),
    }),
  ]),
];

async function streamEvents(call: Call<unknown>, appId: string | undefined): Promise<void> {
  const { events } = call.control;
  const n = queryInt(call.query, 'n', 100, 10_000);
  const resume = call.request.headers['last-event-id'];
  const sse = openSse(call);
  const pulse = new Pulse();
  const unlisten = events.listen(() => pulse.beat());
  try {
    let batch = resume === undefined ? await events.list({ appId, limit: n }) : [];
    let after = Number(resume ?? batch.at(-1)?.seq ?? 0);
    while (!sse.closed.aborted) {
      for (const event of batch) {
        sse.send('event', publicEvent(event), String(event.seq));
        after = event.seq;
      }
      if (batch.length === 0) await pulse.wait(1000, sse.closed);
      batch = await events.list({ appId, afterSeq: after, limit: 1000 });
    }
  } finally {
    unlisten();
    sse.end();
  }
}

async function streamLogs(call: Call<unknown>): Promise<void> {
  const app = await appOf(call);
  const { logs } = call.control;
  const follow = call.query['follow'] === '1';
  const query = logQuery(call.query, app.id);
  const { raw } = call.reply.hijack();
  const text = new LogText(app.name);
  const gone = new AbortController();
  raw.on('close', () => gone.abort());
  raw.writeHead(200, { 'paas-version': version, 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  raw.flushHeaders();
  // An empty line now and then tells the client that the connection lives.
  const beat = setInterval(() => raw.write('\n'), heartbeatMs);
  // The client is told of a failure in the stream itself: its status line is out already.
  try {
    if (follow) {
      const { until: _, ...rest } = query;
      const resume = call.query['cursor'];
      const wanted: FollowQuery = resume === undefined ? rest : { ...rest, cursor: resume };
      for await (const batch of logs.follow(wanted, gone.signal)) {
        const { cursor, after } = batch;
        const mark = cursor === null ? '' : `${JSON.stringify({ cursor, after })}\n`;
        await write(raw, text.of(batch.entries) + mark, gone.signal);
      }
    } else {
      for await (const entries of logs.query(query)) {
        await write(raw, text.of(entries), gone.signal);
        if (gone.signal.aborted) break;
      }
    }
    raw.end();
  } catch (error) {
    if (gone.signal.aborted) return;
    call.control.logger.error('reading logs failed', error, { app: app.name });
    const body =
      error instanceof PaasError ? error.toJSON() : new PaasError('internal', 'Reading the logs failed.').toJSON();
    raw.end(JSON.stringify({ error: body }) + '\n');
  } finally {
    clearInterval(beat);
  }
}

async function write(raw: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
  if (text === '' || signal.aborted || raw.write(text)) return;
  await once(raw, 'drain', { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

function logQuery(query: Record<string, string>, appId: string): LogQuery {
  const source = query['source'];
  const sources: readonly string[] = api.logLine.shape.source.options;
  if (source !== undefined && !sources.includes(source)) {
    throw new PaasError('bad_request', `source must be one of ${sources.join(', ')}.`);
  }
  const time = (name: string): number | undefined => {
    const text = query[name];
    if (text === undefined) return undefined;
    const value = Date.parse(text);
    if (Number.isNaN(value)) throw new PaasError('bad_request', `${name} must be an ISO 8601 time.`);
    return value;
  };
  const entries: LogQuery = { appId };
  const since = time('since');
  const until = time('until');
  if (since !== undefined) entries.since = since;
  if (until !== undefined) entries.until = until;
  if (query['process'] !== undefined) entries.processType = query['process'];
  if (query['instance'] !== undefined) entries.instance = query['instance'];
  if (query['release'] !== undefined) entries.release = queryInt(query, 'release', 0, Number.MAX_SAFE_INTEGER);
  if (source !== undefined) entries.source = source as 'app';
  if (query['grep'] !== undefined) entries.grep = query['grep'];
  if (query['n'] !== undefined) entries.tail = queryInt(query, 'n', 100, 10_000_000);
  return entries;
}
