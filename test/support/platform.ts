/** What e2e and fault tests need. */
export { startPlatform, Platform } from './platform/platform.ts';
export { killNow, running } from './platform/processes.ts';
export { installation, type CliResult, type RunningCli } from './platform/cli.ts';
export { SteadyLoad } from './platform/http.ts';
