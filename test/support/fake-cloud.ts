import type { CloudCheck, CloudDriver, CloudHost, CloudHostState, CreateHost } from '../../src/clouds/port.ts';

/** A cloud in memory that counts what is asked of it and fails when told to. */
export class FakeCloud implements CloudDriver {
  readonly hosts = new Map<string, CloudHost & { request: CreateHost }>();
  readonly calls: string[] = [];
  /** Called before a call is carried out; throw to refuse it. */
  before: (call: string) => void | Promise<void> = () => undefined;
  /** Called after a create was carried out; throw to lose its answer. */
  afterCreate: () => void | Promise<void> = () => undefined;
  #made = 0;

  async #call(call: string): Promise<void> {
    this.calls.push(call);
    await this.before(call);
  }

  check(): Promise<CloudCheck> {
    return Promise.resolve({
      clockOffsetMs: 0,
      hosts: this.hosts.size,
      zones: [],
      images: [],
      quota: null,
      problems: [],
    });
  }

  async create(request: CreateHost): Promise<CloudHost> {
    await this.#call('create');
    const id = `vm-${++this.#made}`;
    const { token, name } = request;
    const host = {
      id,
      token,
      name,
      state: 'pending' as const,
      rawState: 'pending',
      addresses: [],
      createdAt: '',
      request,
    };
    this.hosts.set(id, host);
    await this.afterCreate();
    return host;
  }

  async findByToken(token: string): Promise<CloudHost[]> {
    await this.#call('findByToken');
    return [...this.hosts.values()].filter((host) => host.token === token);
  }

  async get(id: string): Promise<CloudHost | null> {
    await this.#call('get');
    return this.hosts.get(id) ?? null;
  }

  list(): Promise<CloudHost[]> {
    return Promise.resolve([...this.hosts.values()]);
  }

  async start(id: string): Promise<void> {
    await this.#call('start');
    this.set(id, 'running');
  }
  async stop(id: string): Promise<void> {
    await this.#call('stop');
    this.set(id, 'stopped');
  }
  async restart(id: string): Promise<void> {
    await this.#call('restart');
    this.set(id, 'running');
  }
  async destroy(id: string): Promise<void> {
    await this.#call(`destroy ${id}`);
    this.hosts.delete(id);
  }

  set(id: string, state: CloudHostState): void {
    const host = this.hosts.get(id);
    if (host) host.state = state;
  }
}
