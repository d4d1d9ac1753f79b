import { listFiles, type TreeReader } from '../../../../src/shared/tree/reader.ts';

/** Path -> content of a stored tree's files; links as `-> target`. */
export async function readTexts(reader: TreeReader, root: string): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  for await (const { path, kind, digest } of listFiles(reader, root))
    texts[path] = (kind === 'link' ? '-> ' : '') + (await reader.readBlob(digest)).toString();
  return texts;
}
