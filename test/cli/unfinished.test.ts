import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { runCli } from './run-cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'walsync unfinished '))
afterAll(() => rmSync(folder, { recursive: true }))

/** Folders are never read to their end, and nothing waits for that. */
const NEVER = `import fs from 'node:fs/promises'
  import { syncBuiltinESMExports } from 'node:module'
  fs.readdir = fs.opendir = () => new Promise(() => {})
  syncBuiltinESMExports()`
const node = ['--import', `data:text/javascript,${encodeURIComponent(NEVER)}`]

it('a command that can never finish fails, where Node alone would end with success', async () => {
  const { code, stdout, stderr } = await runCli(['list', '-b', folder], { node })
  expect(stderr).toContain('error: Unexpected Error: Nothing is left to wait for')
  expect(stderr).toContain('this is a bug in walsync')
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
})

it('says so as JSON, too', async () => {
  const { code, stdout } = await runCli(['list', '-b', folder, '--json'], { node })
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'Unknown', exitCode: 1 } })
  expect(code).toBe(1)
})
