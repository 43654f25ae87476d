import { linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import type { DatabaseOutcome } from '../../src/cli/commands/restore-all-report.ts'
import { refuseSharedFiles } from '../../src/cli/commands/restore-all-report.ts'

const folder = mkdtempSync(join(tmpdir(), 'walsync-shared-'))
afterAll(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'App.db'), '')
writeFileSync(join(folder, 'other.db'), '')
// The two names of a file system that ignores case, on one that does not.
linkSync(join(folder, 'App.db'), join(folder, 'app.db'))

const at = (name: string, outcome: DatabaseOutcome['outcome']): DatabaseOutcome => {
  return { name, outcome, path: join(folder, `${name}.db`) }
}

it('two databases that were restored to one file are not reported as restored', () => {
  const other = at('other', 'restored')
  const outcomes = [at('App', 'restored'), at('app', 'restored'), other]
  const [first, second, third] = refuseSharedFiles(outcomes)
  expect(first).toMatchObject({ name: 'App', outcome: 'failed', exitCode: 2 })
  expect(first?.error?.message).toContain('is the same file as that of app')
  expect(second).toMatchObject({ name: 'app', outcome: 'failed', exitCode: 2 })
  expect(third).toBe(other)
})

it('nor is one as being there already that came with the restore of another', () => {
  const found = refuseSharedFiles([at('App', 'restored'), at('app', 'present')])
  expect(found.map(({ outcome }) => outcome)).toEqual(['failed', 'failed'])
})

it('files that were there before, or are not there, are left as they are', () => {
  const before = [at('App', 'present'), at('app', 'present'), at('gone', 'restored')]
  expect(refuseSharedFiles(before)).toEqual(before)
})
