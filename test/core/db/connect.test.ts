import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connect } from '../../../src/core/db/connect.ts'
import { Checkpointer, enableWal } from '../../../src/core/db/index.ts'
import { ReadGuard } from '../../../src/core/db/read-guard.ts'

const CHILD = fileURLToPath(new URL('../../../src/core/db/hold-open-child.ts', import.meta.url))
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync connect '))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('a connection to a live database', () => {
  it('opens the file of exactly that name', () => {
    for (const name of ['a b.db', '100%25.db', 'what?mode=memory.db', '#ü\\n.db']) {
      const made = new DatabaseSync(join(folder, name))
      made.exec(`CREATE TABLE t (x); INSERT INTO t VALUES ('${name}')`)
      made.close()
      const db = connect(join(folder, name), 0)
      expect(db.prepare('SELECT x FROM t').get()).toEqual({ x: name })
      db.close()
    }
    expect(readdirSync(folder)).toHaveLength(4)
  })

  it('never creates a file that was deleted', async () => {
    const path = join(folder, 'gone.db')
    expect(() => connect(path, 0)).toThrow(/unable to open/)
    expect(() => new ReadGuard(path)).toThrow(/cannot be opened/)
    expect(enableWal(path)).toMatch(/unable to open/)
    const checkpointer = new Checkpointer()
    await expect(checkpointer.passive(path, 0)).rejects.toThrow(/unable to open/)
    await expect(checkpointer.lock(path, 0)).rejects.toThrow(/unable to open/)
    await checkpointer.close()
    const held = spawnSync(process.execPath, ['--no-warnings', CHILD, path], { encoding: 'utf8' })
    expect(held).toMatchObject({ status: 1, stdout: '' })
    expect(readdirSync(folder)).toEqual([])
  })
})
