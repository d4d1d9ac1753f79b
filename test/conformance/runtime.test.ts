import { drivers } from '../../src/agent/runtimes/registry.ts';
import { runtimeSuite } from './runtime.suite.ts';

for (const driver of drivers) runtimeSuite(driver);
