/** `npm test [-- VITEST ARGUMENTS]`: installs what is missing, builds, runs every test. */
import { join } from 'node:path';
import { build, install, requireNode, root, run } from './lib.js';

requireNode();
install();
build();
run(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...process.argv.slice(2)]);
