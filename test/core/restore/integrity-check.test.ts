import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { checkIntegrity } from '../../../src/core/restore/integrity-check.ts'
import { until } from '../../support/until.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-integrity-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** The process that checks this file. */
function checkerOf(path: string): number | undefined {
  try {
    return Number(
      execFileSync('pgrep', ['-n', '-f', `integrity-child.ts ${path}`], { encoding: 'utf8' }),
    )
  } catch {
    return undefined
  }
}

it.each([
  ['SIGKILL', 'IntegrityCheckIncomplete'],
  ['SIGSEGV', 'IntegrityCheckFailed'],
] as const)('A check that ends with %s is %s.', async (signal, code) => {
  // SQLite waits here until someone writes.
  const path = join(folder, 'fifo')
  execFileSync('mkfifo', [path])
  const checked = expect(checkIntegrity(path, 'full')).rejects.toMatchObject({ code })
  await until(() => checkerOf(path) !== undefined)
  process.kill(checkerOf(path)!, signal)
  await checked
})
