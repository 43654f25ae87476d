import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, it } from 'vitest'
import { flush } from '../../src/cli/output/flush-stdio.ts'
import { BUILT_CLI } from '../support/built-cli.ts'
import { scratchFolder } from './run-cli.ts'
import { addRows, sampleDatabase } from './sample-database.ts'

const POLL = { timeout: 30_000 }
const folder = scratchFolder()
afterAll(() => folder.remove())

it('a result of any size reaches a reader that takes its time', async () => {
  const databases = Array.from({ length: 500 }, (_, i) => ({ path: `database-${i}.db` }))
  writeFileSync(join(folder.path, 'walsync.yml'), JSON.stringify({ bucket: './r', databases }))
  const child = spawn(process.execPath, [BUILT_CLI, 'config', 'check', '--json'], {
    cwd: folder.path,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'readable')
  await sleep(500)
  let text = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) text += chunk
  expect(text.length).toBeGreaterThan(2 * 65_536)
  expect(JSON.parse(text)).toMatchObject({ databases: { length: 500 } })
})

it
  .skipIf(!existsSync('/dev/full'))
  .each([{ words: ['config', 'schema'] }, { words: ['--version'] }])(
  'a result of $words that cannot be written is an error',
  async ({ words }) => {
    const full = openSync('/dev/full', 'w')
    const child = spawn(process.execPath, [BUILT_CLI, ...words], {
      stdio: ['ignore', full, 'pipe'],
    })
    closeSync(full)
    let stderr = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const [code] = await once(child, 'close')
    expect(stderr).toMatch(/^error: ENOSPC: .*\n {2}try: .*\n$/)
    expect(code).toBe(1)
  },
)

it.skipIf(!existsSync('/dev/full'))(
  'a watcher continues to replicate if its output cannot be written',
  async () => {
    const db = sampleDatabase(join(folder.path, 'app.db'), 1)
    const full = openSync('/dev/full', 'w')
    const child = spawn(process.execPath, [BUILT_CLI, 'watch', 'app.db', '-b', './r', '--json'], {
      cwd: folder.path,
      stdio: ['ignore', full, full],
    })
    closeSync(full)
    const ended = once(child, 'close')
    const shipped = join(folder.path, 'r/app/ltx/0/0000000000000002-0000000000000002.ltx')
    await expect.poll(() => existsSync(join(folder.path, 'r/app/ltx/9')), POLL).toBe(true)
    addRows(db, 1)
    await expect.poll(() => existsSync(shipped), POLL).toBe(true)
    child.kill('SIGTERM')
    expect(await ended).toEqual([1, null])
    db.close()
  },
)

it('a reader that has gone, or that patience ended for, is not waited for', async () => {
  const stuck = () => {
    const stream = new PassThrough({ highWaterMark: 1 })
    stream.write('more than one byte')
    stream.write('and what waits behind it')
    return stream as unknown as NodeJS.WriteStream
  }
  const never = new AbortController().signal
  const gone = stuck()
  const waiting = flush(gone, never)
  gone.destroy()
  await waiting
  await flush(stuck(), AbortSignal.timeout(20))
})
