/**
 * A LogStore of two: access lines of routers have one of their own, with limits of its own, so that a busy app's requests
 * never push its output out. Whoever asks for no source gets everything but access lines.
 */
import type { FollowQuery, LogFilter, LogQuery, LogStore, LogUsage } from './port.ts';

/** @param main for everything but lines of the source `router` */
export function splitLogs(main: LogStore, router: LogStore): LogStore {
  const of = ({ source }: Pick<LogFilter, 'source'>): LogStore => (source === 'router' ? router : main);
  return {
    append: (block, payload) => of(block).append(block, payload),
    appendPlatformLine: (appId, line) => main.appendPlatformLine(appId, line),
    positions: (instances) => [...main.positions(instances), ...router.positions(instances)],
    flush: async () => {
      await Promise.all([main.flush(), router.flush()]);
    },
    query: (query) => of(query).query(ofFields(query)),
    follow: (query, signal) => of(query).follow(ofFields(query), signal),
    subscribe: (filter, listener) => of(filter).subscribe(filter, listener),
    usage: (appId) => sum(main.usage(appId), router.usage(appId)),
    sweep: async (isLive) => {
      await main.sweep(isLive);
      await router.sweep(isLive);
    },
    remove: async (appId) => {
      await main.remove(appId);
      await router.remove(appId);
    },
    close: async () => {
      await Promise.all([main.close(), router.close()]);
    },
  };
}

/**
 * An access line comes from the router; which instance answered stands in its fields (shared/access-line.ts). So what is
 * asked of an instance, a process type or a release is looked for there, beside the expression that was given.
 */
function ofFields<Q extends LogQuery | FollowQuery>(query: Q): Q {
  if (query.source !== 'router') return query;
  const { instance, processType, release } = query;
  const fields: RegExp[] = [];
  if (processType !== undefined) fields.push(new RegExp(String.raw` instance=${escape(processType)}\.\d+ `));
  if (instance !== undefined) fields.push(new RegExp(` instance=${escape(instance)} `));
  if (release !== undefined) fields.push(new RegExp(` release=${release} `));
  const wanted = { ...query, fields };
  delete wanted.instance;
  delete wanted.processType;
  delete wanted.release;
  return wanted;
}

const escape = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);

function sum(a: LogUsage, b: LogUsage): LogUsage {
  const [oldest = null] = [a.oldest, b.oldest].filter((time) => time !== null).sort();
  return { bytes: a.bytes + b.bytes, droppedLines: a.droppedLines + b.droppedLines, oldest };
}
