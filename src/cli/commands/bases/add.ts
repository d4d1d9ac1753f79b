import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errnoOf, PaasError } from '../../../shared/errors.ts';
import { dnsLabel } from '../../../shared/ids.ts';
import { sendFile } from '../../../shared/tree/send.ts';
import { uploadTransport } from '../../client/upload.ts';
import { platformCommand } from '../../command/define.ts';
import { Progress } from '../../ui/progress.ts';
import { spellBytes } from '../../ui/times.ts';

export default platformCommand(
  {
    summary: 'add a base image, or replace it for later releases',
    description: 'The rootfs is a tar as `debootstrap` or `docker export` make it, gzipped or not.',
    args: {
      name: { summary: 'how manifests call it', required: true },
      rootfs: { summary: 'ROOTFS.tar or .tar.gz', required: true },
    },
    examples: [['paas bases add debian12 rootfs.tar.gz', 'then `base: debian12` in paas.yml']],
  },
  async ({ ui, client, signal }, { args }) => {
    const name = args['name']!;
    if (!dnsLabel.test(name)) throw new PaasError('usage', `\`${name}\` is no name: use a-z, 0-9 and -.`, { hint: '' });
    const progress = new Progress(ui);
    try {
      progress.at(`Reading ${args['rootfs']!}`);
      const file = await hashed(resolve(args['rootfs']!), signal);
      const sent = await sendFile(file, uploadTransport(client, signal), {
        signal,
        onProgress: (bytes, total) => progress.at(`Sending ${spellBytes(total)}`, `(${spellBytes(bytes)} sent)`),
        onRetry: () => progress.say('The connection broke; trying again from where it broke.'),
      });
      const body = { digest: file.digest, bytes: file.size };
      await client.request({ method: 'PUT', path: `/v1/bases/${name}`, body });
      progress.stop();
      ui.show({ name, ...body, sent: sent.bytes }, () =>
        ui.line(`Added the base ${name} (${spellBytes(file.size)}, ${file.digest.slice(0, 12)}).`),
      );
      return 0;
    } finally {
      progress.stop();
    }
  },
);

async function hashed(path: string, signal: AbortSignal): Promise<{ path: string; digest: string; size: number }> {
  try {
    const { size } = await stat(path);
    const hash = createHash('sha256');
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash, { signal });
    return { path, digest: hash.digest('hex'), size };
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === undefined || code === 'ABORT_ERR') throw cause;
    throw new PaasError('not_found', `${path} cannot be read: ${code}.`, {
      hint: 'Name the tar file of a rootfs.',
      cause,
    });
  }
}
