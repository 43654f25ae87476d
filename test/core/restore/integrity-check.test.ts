import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { prepareIntegrityCheck } from '../../../src/core/restore/integrity-check.ts'
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
  using check = prepareIntegrityCheck(path, 'full')
  const checked = expect(check.run()).rejects.toMatchObject({ code })
  await until(() => checkerOf(path) !== undefined)
  process.kill(checkerOf(path)!, signal)
  await checked
})

it('A check whose process is ended before it is wanted starts another.', async () => {
  const path = join(folder, 'app.db')
  using check = prepareIntegrityCheck(path, 'full')
  await until(() => checkerOf(path) !== undefined)
  const pid = checkerOf(path)!
  process.kill(pid, 'SIGKILL')
  await until(() => !existsSync(`/proc/${pid}`))
  createDatabase(path)
  expect(await check.run()).toEqual([])
})

it('A check that is not wanted after all leaves no process.', async () => {
  const path = join(folder, 'app.db')
  const check = prepareIntegrityCheck(path, 'full')
  await until(() => checkerOf(path) !== undefined)
  check[Symbol.dispose]()
  await until(() => checkerOf(path) === undefined)
})

it('The process of a check ends with the one that wanted it.', async () => {
  const path = join(folder, 'app.db')
  const module = JSON.stringify(import.meta.resolve('../../../src/core/restore/integrity-check.ts'))
  const script = `const { prepareIntegrityCheck } = await import(${module})
    prepareIntegrityCheck(${JSON.stringify(path)}, 'full')`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: 'inherit',
  })
  await until(() => checkerOf(path) !== undefined)
  parent.kill('SIGKILL')
  await until(() => checkerOf(path) === undefined)
})

function createDatabase(path: string): void {
  using db = new DatabaseSync(path)
  db.exec('CREATE TABLE t (a)')
}
