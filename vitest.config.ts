import { defineConfig } from 'vitest/config';

// The tests run on what tsc has built: worker threads and child processes then get the same JavaScript that ships.
export default defineConfig({
  test: {
    include: ['{proto,core,agent,collector,simulators,bench}/dist/**/*.test.js'],
    exclude: ['**/node_modules/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
