import { platformCommand } from '../command/define.ts';
import { ago, spellBytes } from '../ui/times.ts';

interface Row {
  name: string;
  digest: string;
  bytes: number | null;
  createdAt: string;
  apps: number;
}

export default platformCommand({ summary: 'list base images' }, async ({ ui, client, signal }) => {
  const { bases } = await client.request<{ bases: Row[] }>({ method: 'GET', path: '/v1/bases', signal });
  ui.show(bases, () => {
    if (bases.length === 0) ui.line('No base image is known yet: `host` comes with the first host.');
    else {
      ui.table(
        ['BASE', 'DIGEST', 'SIZE#', 'APPS#', 'AGE#'],
        bases.map(({ name, digest, bytes, createdAt, apps }) => [
          name,
          digest.slice(0, 12),
          bytes === null ? '-' : spellBytes(bytes),
          String(apps),
          ago(createdAt),
        ]),
      );
    }
  });
  return 0;
});
