/** Which class of a Java app has the main method. */
import type { SourceView } from '../port.ts';
import { fileNames, readText } from './source.ts';

export interface JavaSource {
  name: string;
  text: string;
}

/** The .java files in the root. */
export async function javaSources(view: SourceView): Promise<JavaSource[]> {
  const names = (await fileNames(view)).filter((name) => name.endsWith('.java'));
  return Promise.all(names.map(async (name) => ({ name, text: (await readText(view, name)) ?? '' })));
}

/** Fully qualified name of the class with the main method: Main, then App, then the first there is. */
export function findMainClass(sources: readonly JavaSource[]): string | undefined {
  const mains = sources.filter(({ text }) => /\bstatic\s+(final\s+)?void\s+main\s*\(/.test(withoutComments(text)));
  const chosen =
    mains.find(({ name }) => name === 'Main.java') ?? mains.find(({ name }) => name === 'App.java') ?? mains[0];
  if (chosen === undefined) return undefined;
  const inPackage = /^\s*package\s+([\w.]+)\s*;/m.exec(withoutComments(chosen.text))?.[1];
  const simple = chosen.name.slice(0, -'.java'.length);
  return inPackage === undefined ? simple : `${inPackage}.${simple}`;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
}

/** Main-Class of META-INF/MANIFEST.MF in the root: a jar that Cloud Foundry's CLI unpacked for the push. */
export async function jarMainClass(view: SourceView): Promise<string | null> {
  const text = await readText(view, 'META-INF/MANIFEST.MF');
  // Lines are at most 72 bytes; one that begins with a space goes on (JAR specification).
  const main = /^Main-Class:\s*([\w.$]+)\s*$/m.exec(text?.replace(/\r?\n /g, '') ?? '')?.[1];
  return main?.includes('$') === true ? `'${main}'` : (main ?? null);
}
