/** The app that a directory's manifest names. Loaded only where nothing else names one: it brings the YAML parser. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PaasError } from '../../shared/errors.ts';
import { dnsLabel } from '../../shared/ids.ts';
import { loadManifest } from '../manifest/load.ts';

/** Undefined without a manifest. */
export async function appInDirectory(
  directory: string,
  environment: string,
): Promise<{ name: string; project?: string } | undefined> {
  try {
    const loaded = await loadManifest({ directory, environment, flags: {}, knownConfig: () => Promise.resolve([]) });
    const [spec] = loaded.specs;
    if (loaded.source === 'none' || spec === undefined) return undefined;
    return { name: spec.name, ...(loaded.project === undefined ? {} : { project: loaded.project }) };
  } catch (error) {
    if (!(error instanceof PaasError) || error.code !== 'manifest_invalid') throw error;
    // A mistake in a manifest must not stand between somebody and the logs of what runs.
    const name = nameByHand(directory);
    if (name === undefined) throw error;
    return { name };
  }
}

function nameByHand(directory: string): string | undefined {
  for (const file of ['paas.yml', 'paas.yaml']) {
    try {
      const name = /^name:[ \t]*["']?([a-z0-9-]+)["']?[ \t]*(?:#.*)?\r?$/m.exec(
        readFileSync(join(directory, file), 'utf8'),
      )?.[1];
      if (name !== undefined && dnsLabel.test(name)) return name;
    } catch {
      // The other one, or none: the manifest's own mistake is reported then.
    }
  }
  return undefined;
}
