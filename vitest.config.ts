import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

const report = process.env.VITEST_JSON

/**
 * Files that need a storage server, minutes, or many kills. The ending is part of the name, so it
 * stays with a file that is moved.
 */
const SLOW = 'test/**/*.slow.test.ts'

const CONTRACT = ['test/contract/**/*.test.ts']
/** Replication, restores and repairs on real SQLite files; most of their time is waiting. */
const ENGINE = [
  'test/core/{db,drill,engine,repair,restore,verify}/**/*.test.ts',
  'test/legacy/**/*.test.ts',
]
/** The command line, the library and the tools of this repository, as processes. */
const CLI = ['test/{cli,api,lint}/**/*.test.ts']
/** Real processes, kills, the built package: one file at a time, or they disturb each other. */
const E2E = ['test/{crash,e2e,package}/**/*.test.ts']
/** They start the build, which is made again if a source is newer. */
const STARTS_CLI = { globalSetup: 'test/support/built-cli.ts' }

/** Projects with the same `order` run at the same time. */
export default defineConfig({
  test: {
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    projects: [
      project('unit', {
        include: ['test/**/*.test.ts'],
        exclude: [SLOW, ...CONTRACT, ...ENGINE, ...CLI, ...E2E],
        order: 0,
        isolate: false,
      }),
      project('contract', { include: CONTRACT, exclude: [SLOW], order: 1, maxWorkers: 4 }),
      project('engine', { include: ENGINE, exclude: [SLOW], order: 1, maxWorkers: 4 }),
      project('cli', { include: CLI, exclude: [SLOW], order: 1, maxWorkers: 4, ...STARTS_CLI }),
      project('e2e', { include: E2E, exclude: [SLOW], order: 2, maxWorkers: 1, ...STARTS_CLI }),
      project('slow', { include: [SLOW], exclude: E2E, order: 3, ...STARTS_CLI }),
      project('slow-e2e', {
        include: E2E.map(slowOnly),
        exclude: [],
        order: 4,
        maxWorkers: 1,
        ...STARTS_CLI,
      }),
    ],
  },
})

interface ProjectOptions {
  readonly include: string[]
  readonly exclude: string[]
  readonly order: number
  readonly maxWorkers?: number
  /** Whether each file has a process of its own. Without, modules are loaded once for all: a third less work. */
  readonly isolate?: boolean
  readonly globalSetup?: string
}

function project(name: string, options: ProjectOptions): TestProjectInlineConfiguration {
  const { include, exclude, order, maxWorkers = 2, isolate = true, globalSetup } = options
  return {
    test: {
      name,
      include,
      exclude,
      maxWorkers,
      pool: 'forks',
      isolate,
      ...(globalSetup && { globalSetup }),
      fileParallelism: maxWorkers > 1,
      sequence: { groupOrder: order },
      testTimeout: maxWorkers > 1 ? 60_000 : 120_000,
      hookTimeout: 120_000,
    },
  }
}

function slowOnly(pattern: string): string {
  return pattern.replace('.test.ts', '.slow.test.ts')
}
