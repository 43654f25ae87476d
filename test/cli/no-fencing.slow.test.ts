import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { runCli, scratchFolder } from './run-cli.ts'
import { addRows, rowsOf, sampleDatabase } from './sample-database.ts'

const ODD = fileURLToPath(new URL('plugins/odd-store.ts', import.meta.url))
const folder = scratchFolder()
const cwd = folder.path
const db = sampleDatabase(join(cwd, 'app.db'), 10)
const STORE = ['-b', `odd://plain${encodeURI(join(cwd, 'replica'))}`, '--plugin', ODD]
afterAll(() => {
  db.close()
  folder.remove()
})

const run = (...args: string[]) => runCli([...args, ...STORE], { cwd })

it('snapshot, repair and compact write without conditions if --no-fencing is given', async () => {
  const refused = await run('snapshot', 'app.db')
  expect(refused.code).toBe(4)
  expect(refused.stderr).toMatch(/501.*--no-fencing/s)

  expect(await run('snapshot', 'app.db', '--no-fencing')).toMatchObject({ code: 0 })
  addRows(db, 5)
  expect(await run('snapshot', 'app.db', '--no-fencing')).toMatchObject({ code: 0 })
  addRows(db, 5)
  expect((await run('repair', 'app.db', '--force')).code).toBe(4)
  expect((await run('repair', 'app.db', '--force', '--no-fencing')).code).toBe(0)
  expect((await run('compact', 'app', '--no-fencing')).code).toBe(0)
  expect((await run('restore', 'app', '-o', 'restored.db')).code).toBe(0)
  expect(rowsOf(join(cwd, 'restored.db'))).toEqual(rowsOf(join(cwd, 'app.db')))
})
