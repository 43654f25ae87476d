import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { txid } from '../../src/core/ltx/index.ts'
import { encodeEnd, epochKey } from '../../src/core/replica/writer-claim/claim-records.ts'
import { filesOf, putTransactions, replicaIn } from './replica-folder.ts'
import { runCli, scratchFolder } from './run-cli.ts'

const folder = scratchFolder()
const cwd = folder.path
const root = join(cwd, 'replicas')
const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Noon, ten days ago. */
const START = Math.floor(Date.now() / DAY) * DAY - 10 * DAY + 12 * HOUR

const prune = (...words: string[]) => runCli(['prune', ...words, '-b', './replicas'], { cwd })

beforeAll(async () => {
  const daily = Array.from({ length: 10 }, (_, day) => START + day * DAY)
  await putTransactions(replicaIn(root, 'daily'), daily)
  await putTransactions(replicaIn(root, 'gap'), daily.slice(0, 3))
  const gap = replicaIn(root, 'gap')
  await gap.delete((await gap.list()).filter(({ maxTxid }) => maxTxid === 2n))
})
afterAll(() => folder.remove())

let names = 0
let name = ''
beforeEach(async () => {
  name = `app${++names}`
  const client = replicaIn(root, name)
  await putTransactions(client, [START, START + 1, START + 2, START + 3, START + 4])
  const files = await client.list()
  const merged = files.find(({ maxTxid }) => maxTxid === 5n)
  const bytes: Uint8Array[] = []
  if (merged) for await (const chunk of client.open(merged)) bytes.push(chunk)
  // Only names and times are looked at.
  await client.put(1, txid(2), txid(5), Buffer.concat(bytes), { createdAt: new Date(START + 4) })
})

describe('prune', () => {
  it('shows with --dry-run what would be deleted, and deletes nothing', async () => {
    const before = await filesOf(replicaIn(root, name))
    const { code, stdout, stderr } = await prune(name, '--min-object-age', '0', '--dry-run')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(
      /^app\d+: 3 files, \d+ B would be deleted\.\nLEVEL +GO +SIZE +STAY +SIZE\n/,
    )
    expect(stdout).toMatch(/\n2 states stay restorable, from \S+Z \(TXID 1\) to \S+Z \(TXID 5\)/)
    expect(stdout).toContain('history is thinned out, and its beginning stays')
    expect(await filesOf(replicaIn(root, name))).toEqual(before)
  })

  it('deletes what retention does not need, and finds nothing more the next time', async () => {
    const { code, stdout } = await prune(name, '--min-object-age', '0')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^app\d+: 3 files, \d+ B deleted\.\n/)
    expect(await filesOf(replicaIn(root, name))).toEqual(['0:5-5', '1:2-5', '9:1-1'])
    const again = await prune(name, '--min-object-age', '0', '--json')
    expect(JSON.parse(again.stdout)).toMatchObject({ name, remove: [], deleted: 0, kept: 3 })
  })

  it('keeps what is younger than --min-object-age', async () => {
    const { stdout } = await prune(name)
    expect(stdout).toMatch(/^app\d+: nothing to delete\.\n/)
  })

  it('leaves the slots that fence a paused writer', async () => {
    const client = replicaIn(root, name)
    const at = new Date()
    const end = encodeEnd({
      epoch: 1,
      by: 'successor',
      at,
      slot: txid(3),
      from: txid(3),
      successor: 2,
    })
    await client.store.put(epochKey(1, 'end'), end)
    await prune(name, '--min-object-age', '0')
    expect(await filesOf(client)).toEqual(['0:3-3', '0:5-5', '1:2-5', '9:1-1'])
  })

  it('counts by rule what is kept, and lists as JSON what is deleted', async () => {
    const rules = [
      '--keep-daily',
      '3',
      '--keep-monthly',
      '1',
      '--keep-for',
      '3d',
      '--min-object-age',
      '0',
    ]
    const text = await prune('daily', ...rules, '--dry-run')
    for (const rule of ['newest 1', 'window-start 1', 'keep-daily 3', 'keep-monthly 1']) {
      expect(text.stdout).toContain(rule)
    }
    expect(text.stdout).toMatch(/keep-for [23]/)
    expect(text.stdout).not.toContain('history is thinned out')
    const json = await prune(
      'daily',
      '--keep-last',
      '1',
      '--min-object-age',
      '0',
      '--dry-run',
      '--json',
    )
    const result = JSON.parse(json.stdout) as { remove: unknown[]; points: { why: string[] }[] }
    expect(result.points.filter(({ why }) => why.includes('keep-last'))).toHaveLength(1)
    expect(result).toMatchObject({ dryRun: true, deleted: 0, failures: [], kept: 10, remove: [] })
  })

  it('deletes nothing of a replica with a gap, and ends with 5', async () => {
    const before = await filesOf(replicaIn(root, 'gap'))
    const { code, stdout } = await prune('gap', name, '--keep-last', '1', '--min-object-age', '0')
    expect(code).toBe(5)
    expect(stdout).toMatch(/^gap: nothing is deleted, because transactions are missing/)
    expect(stdout).toMatch(/\napp\d+: 3 files/)
    expect(await filesOf(replicaIn(root, 'gap'))).toEqual(before)
  })

  it.each([
    [['nothing', '--min-object-age', '0'], 6, 'There is no database "nothing"'],
    [['daily', '--keep-for', '1M'], 2, '--keep-for got "1M"'],
  ])('refuses %j with %d', async (words, code, message) => {
    const result = await prune(...words)
    expect(result.code).toBe(code)
    expect(result.stderr).toContain(message)
  })
})
