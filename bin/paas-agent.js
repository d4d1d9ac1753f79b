#!/usr/bin/env node
import { main } from '../dist/agent.js';

try {
  process.exit(await main(process.argv.slice(2), process.env));
} catch (error) {
  process.stderr.write(`paas-agent: ${error.message}\n${error.hint ? `  ${error.hint}\n` : ''}`);
  process.exit(error.exit ?? 1);
}
