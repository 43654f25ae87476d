import { spawnSync } from 'node:child_process'
import { existsSync, globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** The built entry, as a user has it. It starts in half the time that the sources take. */
export const BUILT_CLI = join(ROOT, 'dist/cli/bin.js')

const SOURCES = ['src', 'src/**', 'scripts/*.mjs', 'tsconfig*.json', 'package-lock.json']

/** For Vitest, once before the tests of a project that starts the CLI: no test meets an old build. */
export default function setup(project: TestProject): void {
  buildIfStale()
  project.onTestsRerun(buildIfStale)
}

/** A folder counts as well: its time changes with a file that is gone. */
function buildIfStale(): void {
  const built = existsSync(BUILT_CLI) ? statSync(BUILT_CLI).mtimeMs : 0
  const isNewer = (path: string) => statSync(join(ROOT, path)).mtimeMs > built
  if (!globSync(SOURCES, { cwd: ROOT }).some(isNewer)) return
  const script = join(ROOT, 'scripts/build.mjs')
  const { status } = spawnSync(process.execPath, [script], { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) throw new Error('The tests start the build, and the sources do not compile.')
}
