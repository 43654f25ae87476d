import { defineConfig } from 'vitest/config'

const report = process.env.VITEST_JSON

/** Real processes, kills and timings: one file at a time, or they disturb what they measure. */
const SERIAL = ['test/e2e/**/*.test.ts', 'test/crash/**/*.test.ts', 'test/cli/demo.test.ts']

export default defineConfig({
  test: {
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    projects: [
      {
        test: {
          ...shared('parallel'),
          include: ['test/**/*.test.ts'],
          exclude: SERIAL,
          maxWorkers: 2,
        },
      },
      {
        test: {
          ...shared('serial'),
          include: SERIAL,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
        },
      },
    ],
  },
})

function shared(name: string) {
  return { name, pool: 'forks' as const, testTimeout: 60_000, hookTimeout: 120_000 }
}
