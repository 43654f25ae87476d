import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../../support/until.ts'

const CHILD = fileURLToPath(new URL('../../../src/core/db/hold-open-child.ts', import.meta.url))
const SOURCE = new URL('../../../src/core/db/source-database.ts', import.meta.url).href
let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync hold '))
  path = join(folder, 'app.db')
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = wal; CREATE TABLE t (x)')
  db.close()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe.skipIf(!existsSync('/proc/locks'))('the process that holds a main file', () => {
  it('keeps its lock however often garbage is collected', async () => {
    const collected = join(folder, 'collected')
    const preload = join(folder, 'preload.mjs')
    writeFileSync(
      preload,
      `import { writeFileSync } from 'node:fs'
      let times = 0
      setInterval(() => { gc(); writeFileSync(${JSON.stringify(collected)}, String(++times)) }, 10)`,
    )
    const args = ['--no-warnings', '--expose-gc', '--import', preload, CHILD, path]
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    try {
      await once(child.stdout, 'data')
      const times = () => (existsSync(collected) ? Number(readFileSync(collected, 'utf8')) : 0)
      const before = times()
      expect(isLockedBy(child.pid)).toBe(true)
      await until(() => times() > before + 5)
      expect(isLockedBy(child.pid)).toBe(true)
    } finally {
      child.kill('SIGKILL')
    }
  })
})

describe.skipIf(!existsSync('/proc/locks'))('an open database that no longer has a name', () => {
  it('is not closed by the garbage collector, and its log stays', async () => {
    const app = new DatabaseSync(path)
    app.exec('INSERT INTO t VALUES (1)')
    const script = `
      import { SourceDatabase } from ${JSON.stringify(SOURCE)}
      SourceDatabase.open(${JSON.stringify(path)})
      for (let i = 0; i < 5; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 10)) }
      console.log('collected')
      setInterval(() => {}, 1000)`
    const args = ['--no-warnings', '--expose-gc', '--input-type=module', '--eval', script]
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    try {
      await once(child.stdout, 'data')
      app.close()
      expect(isLockedBy(child.pid)).toBe(true)
      expect(existsSync(`${path}-wal`)).toBe(true)
    } finally {
      child.kill('SIGKILL')
    }
  })
})

/** Does the process hold a POSIX lock on the database file? */
function isLockedBy(pid: number | undefined): boolean {
  const inode = `:${statSync(path).ino} `
  const lines = readFileSync('/proc/locks', 'utf8').split('\n')
  return lines.some((line) => line.includes(` ${pid} `) && line.includes(inode))
}
