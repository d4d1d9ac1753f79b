/** What a running command has at hand: where it prints, which platform it talks to, which app it is about. */
import { Client, currentTarget, paasHome, type Target } from '../client/index.ts';
import { PaasError } from '../../shared/errors.ts';
import { dnsLabel } from '../../shared/ids.ts';
import type { Ui } from '../ui/ui.ts';

/** An app by its full name. */
export interface AppScope {
  name: string;
  project: string;
  environment: string;
  /** `/v1/projects/…/environments/…/apps/…` */
  path: string;
  /** What to add to a command that is about this app: ` -a shop -p store`. */
  flags: string;
}

export interface AppWish {
  argument?: string | undefined;
  app: string | undefined;
  project: string | undefined;
  env: string | undefined;
}

export class Context {
  readonly ui: Ui;
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  #target: Target | undefined;
  #client: Client | undefined;

  constructor(options: { ui: Ui; env: NodeJS.ProcessEnv; signal: AbortSignal }) {
    this.ui = options.ui;
    this.env = options.env;
    this.signal = options.signal;
    this.home = paasHome(options.env);
  }

  /** @throws PaasError not_authenticated when no platform is chosen */
  get target(): Target {
    return (this.#target ??= currentTarget(this.env));
  }

  get client(): Client {
    return (this.#client ??= new Client(this.target));
  }

  /** Project and environment of a command. */
  scope(wish: { project: string | undefined; env: string | undefined }): { project: string; environment: string } {
    return { project: wish.project ?? this.target.project, environment: wish.env ?? this.target.environment };
  }

  /** The app a command is about: argument, flag, PAAS_APP, manifest of this directory. @throws PaasError usage */
  async findApp(wish: AppWish): Promise<AppScope> {
    const found = await this.findAppIfAny(wish);
    if (found) return found;
    throw new PaasError('usage', 'Which app? There is no manifest with a name in this directory.', {
      hint: 'Name it: `-a APP`, or PAAS_APP. `paas apps` lists them.',
    });
  }

  /** The same; undefined when nothing names one. */
  async findAppIfAny(wish: AppWish): Promise<AppScope | undefined> {
    const { argument, app } = wish;
    if (argument !== undefined && app !== undefined && argument !== app) {
      throw new PaasError('usage', `Which app: ${argument} or ${app}?`, { hint: 'Name it once.' });
    }
    const given = argument ?? app ?? (this.env['PAAS_APP'] || undefined);
    if (given !== undefined) return this.appScope({ name: given, ...this.scope(wish) });
    const { appInDirectory } = await import('./app-in-directory.ts');
    const environment = wish.env ?? this.target.environment;
    const found = await appInDirectory(process.cwd(), environment);
    if (!found) return undefined;
    const project = wish.project ?? (this.env['PAAS_PROJECT'] || found.project) ?? this.target.project;
    return this.appScope({ name: found.name, project, environment });
  }

  /** @throws PaasError usage for names that cannot be names */
  appScope(app: { name: string; project: string; environment: string }): AppScope {
    const { name, project, environment } = app;
    for (const part of [name, project, environment]) {
      if (dnsLabel.test(part)) continue;
      throw new PaasError(
        'usage',
        `\`${part.slice(0, 80)}\` is no name: names have a-z, 0-9 and -, at most 63 characters.`,
        { hint: '`paas apps` lists the apps.' },
      );
    }
    const { target } = this;
    const flags = [
      ` -a ${name}`,
      project === target.project ? '' : ` -p ${project}`,
      environment === target.environment ? '' : ` -e ${environment}`,
    ];
    return { ...app, path: `/v1/projects/${project}/environments/${environment}/apps/${name}`, flags: flags.join('') };
  }

  /** Lets go of connections; says when the two programs differ. */
  close(): void {
    const mismatch = this.#client?.versionMismatch;
    if (mismatch && !this.ui.json) this.ui.warn(`this is paas ${mismatch.own}, the platform is ${mismatch.server}`);
    this.#client?.close();
  }
}
