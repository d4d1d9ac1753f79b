/** All stacks, in the order in which they are asked. One line a stack. */
import { java } from './java.ts';
import { node } from './node.ts';
import type { Stack } from './port.ts';
import { procfile } from './procfile.ts';
import { python } from './python.ts';
import { staticStack } from './static.ts';
import { withUserProfile } from './support/user-profile.ts';

/**
 * @param readAsset text of a built program of the platform by its name in dist/ (`static-server.js`)
 */
export function createStacks(readAsset: (name: string) => Promise<string>): Stack[] {
  const files = staticStack(readAsset);
  // A Staticfile says what it is, whatever lies beside it: `static` is sure only of that, so it can be asked first.
  return [files, node, python, java, procfile].map(withUserProfile);
}
