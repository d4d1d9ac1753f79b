/** What commands use to talk to a platform. */
export { Client, type ClientRequest } from './client.ts';
export { openSession } from './session.ts';
export type { ServerEvent } from './sse.ts';
export { streamEvents, streamLines, type EventStreamOptions, type StreamOptions } from './streams.ts';
export {
  choosePlatform,
  currentTarget,
  forgetPlatform,
  paasHome,
  readTargets,
  savePlatform,
  saveScope,
  type SavedPlatform,
  type Target,
  type Targets,
} from './target.ts';
export { assertUrlAllowed, isLoopback, normalizeUrl } from './url.ts';
