#!/usr/bin/env node
import module from 'node:module';

// Node 22 keeps compiled code between starts; older ones know nothing of it.
module.enableCompileCache?.();
const { main } = await import('../dist/cli/main.js');
process.exit(await main(process.argv.slice(2), process.env));
