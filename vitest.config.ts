import { defineConfig } from 'vitest/config';
import type { Reporter, TestModule } from 'vitest/node';

/** Ends the run with one plain line of counts, for whoever reads logs by machine. */
const counts: Reporter = {
  onTestRunEnd(modules: readonly TestModule[]) {
    const of = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) of[test.result().state]++;
      // A file that does not load has no tests to fail.
      if (module.errors().length > 0) of.failed++;
    }
    console.log(`${of.passed} passed, ${of.failed} failed, ${of.skipped + of.pending} skipped`);
  },
};

// The tests run on what tsc has built: worker threads and child processes then get the same JavaScript that ships.
export default defineConfig({
  test: {
    include: ['{proto,core,agent,collector,simulators,bench}/dist/**/*.test.js'],
    exclude: ['**/node_modules/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', counts],
  },
});
