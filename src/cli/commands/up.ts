import { resolve } from 'node:path';
import { platformCommand } from '../command/define.ts';
import { flag } from '../command/flags.ts';
import { up } from '../platform/up.ts';
import { Progress } from '../ui/progress.ts';

export default platformCommand(
  {
    summary: 'start a platform on this machine, or what of it does not run',
    description:
      'Starts control plane, embedded cloud and router in the background, and makes this platform the target of other\n' +
      'commands. Data are kept in PAAS_HOME (default ~/.paas); for root, those of the hosts in /var/lib/paas where PAAS_HOME\n' +
      'is closed to other users, since each app runs as a user of its own.',
    flags: {
      port: flag.integer({ max: 65_535, summary: 'port of the control plane, 0 for any free one (7070)' }),
      router: flag.choice({
        choices: ['embedded', 'nginx'],
        summary: 'what routes requests: the router of paas itself, or nginx (embedded)',
      }),
      'router-port': flag.integer({ max: 65_535, summary: 'port of the apps, 0 for any free one (8080)' }),
      'tls-port': flag.integer({ max: 65_535, summary: 'port of the apps for TLS, 0 for any free one (8443)' }),
      'max-hosts': flag.integer({ min: 1, max: 100, summary: 'how many hosts may be created (4)' }),
      'host-memory': flag.size({ value: '4G', summary: 'memory of a new host' }),
      'host-cpu': flag.cpu({ value: '2', summary: 'cores of a new host' }),
      regions: flag.text({
        value: 'FILE',
        summary: 'MaxMind database for gray rules by region (GeoLite2-City.mmdb); `none` takes it away',
      }),
      foreground: flag.boolean({ summary: 'keep the control plane in the foreground, for a supervisor' }),
      timeout: flag.duration({ summary: 'give up waiting after so long (2m)' }),
    },
    examples: [
      ['paas up', 'start it'],
      ['paas up --router nginx', 'with nginx and its Lua module, as they come with Debian'],
      ['paas up --port 0 --router-port 0', 'beside other things that use the usual ports'],
    ],
  },
  async ({ ui, home, env, signal }, { flags }) => {
    const progress = new Progress(ui);
    const { foreground, timeout } = flags;
    const ports = { port: flags.port, routerPort: flags['router-port'], tlsPort: flags['tls-port'] };
    const wish = { ...ports, router: flags.router, maxHosts: flags['max-hosts'] };
    const regions = flags.regions === undefined ? undefined : await regionsFile(flags.regions);
    const size = { hostMemoryMb: flags['host-memory'], hostCpu: flags['host-cpu'] };
    try {
      const result = await up({
        ...wish,
        ...size,
        regions,
        home,
        env,
        signal,
        progress,
        foreground,
        timeoutMs: timeout ?? 120_000,
      });
      progress.stop();
      const { url, routerUrl, status, started } = result;
      ui.show({ url, routerUrl, started, hosts: status.hosts, warnings: status.warnings }, () => {
        ui.line(started.length === 0 ? 'The platform runs already.' : 'The platform runs.');
        ui.pairs([
          ['API', url],
          ['Apps', routerUrl.replace('//127.0.0.1', '//APP.localhost')],
          ['Data', home],
        ]);
      });
      if (!ui.json) for (const warning of status.warnings) ui.warn(warning);
      if (!result.ended) return 0;
      // Ctrl-C reaches the control plane by itself; a supervisor's SIGTERM is for this process alone.
      signal.addEventListener('abort', result.terminate);
      return await result.ended;
    } finally {
      progress.stop();
    }
  },
);

/** Its absolute path, since programs in other directories read it. @throws PaasError as openRegions; null for `none` */
async function regionsFile(text: string): Promise<string | null> {
  if (text === 'none') return null;
  const path = resolve(text);
  const { openRegions } = await import('../../shared/gray/regions.ts');
  await openRegions(path);
  return path;
}
