import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'

const SOURCE = new URL('../../../src/core/db/source-database.ts', import.meta.url).href
const FILE = new URL('../../../src/core/db/database-file.ts', import.meta.url).href

it('a file that no descriptor is left for is not said to lack permission', () => {
  const folder = mkdtempSync(join(tmpdir(), 'walsync-few-'))
  const path = join(folder, 'app.db')
  writeFileSync(path, '')
  const program = `
    import { openSync } from 'node:fs'
    const { DatabaseFile } = await import(${JSON.stringify(FILE)})
    try { for (;;) openSync('/dev/null') } catch {}
    try { DatabaseFile.open(${JSON.stringify(path)}) } catch ({ message, hint }) { console.log(JSON.stringify({ message, hint })) }`
  const shell = 'ulimit -n 100; exec "$0" --no-warnings --input-type=module -e "$1"'
  const { stdout } = spawnSync('sh', ['-c', shell, process.execPath, program], { encoding: 'utf8' })
  rmSync(folder, { recursive: true })
  const { message, hint } = JSON.parse(stdout)
  expect(message).toContain('has as many files open as it may (EMFILE, 100 at most)')
  expect(hint).toContain('ulimit -n')
})

it.each([1, 2, 3, 4, 5, 6])(
  'a database for whose log and connections %i descriptors are too few is said to lack descriptors',
  (left) => {
    const folder = mkdtempSync(join(tmpdir(), 'walsync-few-'))
    const path = join(folder, 'app.db')
    const db = new DatabaseSync(path)
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a)')
    const program = `
      import { closeSync, openSync } from 'node:fs'
      const { SourceDatabase } = await import(${JSON.stringify(SOURCE)})
      const opened = []
      try { for (;;) opened.push(openSync('/dev/null')) } catch {}
      for (const fd of opened.slice(-${left})) closeSync(fd)
      try { SourceDatabase.open(${JSON.stringify(path)}) } catch ({ message }) { console.log(message) }`
    const shell = 'ulimit -n 100; exec "$0" --no-warnings --input-type=module -e "$1"'
    const { stdout } = spawnSync('sh', ['-c', shell, process.execPath, program], {
      encoding: 'utf8',
    })
    db.close()
    rmSync(folder, { recursive: true })
    expect(stdout).toContain('has as many files open as it may (EMFILE')
  },
)
