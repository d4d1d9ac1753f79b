#!/usr/bin/env node
import { main } from '../dist/router.js';

try {
  process.exit(await main(process.argv.slice(2), process.env));
} catch (error) {
  process.stderr.write(`paas-router: ${error.message}\n${error.hint ? `  ${error.hint}\n` : ''}`);
  process.exit(error.exit ?? 1);
}
