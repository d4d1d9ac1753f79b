/** Keys under which results of builds are kept. */
import { createHash } from 'node:crypto';
import type { PlanContext } from '../port.ts';

/** What every key depends on, whatever is built. */
type KeyContext = Pick<PlanContext, 'project' | 'tools' | 'arch' | 'base'>;

/**
 * A cache key: sha256 in hex over project, base, architecture, the versions of `tools` and all `parts`.
 * @param stack name and version of the recipe
 */
export function cacheKey(
  stack: { name: string; version: number },
  context: KeyContext,
  tools: readonly string[],
  parts: readonly unknown[],
): string {
  const versions = [...new Set(tools)].sort().map((tool) => [tool, context.tools[tool] ?? null]);
  const input = [stack.name, stack.version, context.project, context.base, context.arch, versions, parts];
  return createHash('sha256').update(JSON.stringify(input)).digest('hex');
}
