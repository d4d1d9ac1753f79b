/** The app that a directory's manifest names. Loaded only where nothing else names one: it brings the YAML parser. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PaasError } from '../../shared/errors.ts';
import { dnsLabel } from '../../shared/ids.ts';
import { loadManifest } from '../manifest/load.ts';

interface Named {
  name: string;
  project?: string;
}

/** Undefined without a manifest. @throws PaasError manifest_invalid where a mistake keeps it from saying which app */
export async function appInDirectory(directory: string, environment: string): Promise<Named | undefined> {
  try {
    const loaded = await loadManifest({ directory, environment, flags: {}, knownConfig: () => Promise.resolve([]) });
    const [spec] = loaded.specs;
    if (loaded.source === 'none' || spec === undefined) return undefined;
    return { name: spec.name, ...(loaded.project === undefined ? {} : { project: loaded.project }) };
  } catch (error) {
    if (!(error instanceof PaasError) || error.code !== 'manifest_invalid') throw error;
    // A mistake in a manifest must not stand between somebody and the logs of what runs.
    const named = readByHand(directory);
    if (!named) throw error;
    return named;
  }
}

/** Undefined unless what is written is clear: an app of the same name in another project is another app. */
function readByHand(directory: string): Named | undefined {
  for (const file of ['paas.yml', 'paas.yaml']) {
    let text: string;
    try {
      text = readFileSync(join(directory, file), 'utf8');
    } catch {
      continue; // The other one, or none: the manifest's own mistake is reported then.
    }
    const [name, project] = [valueOf('name', text), valueOf('project', text)];
    if (typeof name !== 'string' || project === null) return undefined;
    return { name, ...(project === undefined ? {} : { project }) };
  }
  return undefined;
}

/** The name that a key of the outermost level has; undefined without the key, null for what cannot be read as one name. */
function valueOf(key: string, text: string): string | null | undefined {
  const values = [...text.matchAll(new RegExp(`^\\uFEFF?["']?${key}["']?[ \\t]*:(.*)$`, 'gm'))].map(
    ([, value]) => value,
  );
  if (values.length === 0) return undefined;
  const [value = ''] = values.length === 1 ? values : [];
  const name = /^[ \t]+["']?([a-z0-9-]+)["']?[ \t]*(?:#.*)?$/.exec(value)?.[1];
  return name !== undefined && dnsLabel.test(name) ? name : null;
}
