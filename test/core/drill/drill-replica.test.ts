import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { drillFailures, drillReplica, type RestoredDrill } from '../../../src/core/drill/index.ts'
import { tempName } from '../../../src/core/fs/index.ts'
import { type TXID, txid } from '../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { ReplicaRig } from '../../support/replica-rig.ts'

let scratch: string

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'walsync scratch '))
  vi.stubEnv('TMPDIR', scratch)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(scratch, { recursive: true })
})

async function drill(options: { maxAgeMs?: number; current?: () => TXID | undefined }) {
  const store = new MemoryObjectStore()
  await using rig = new ReplicaRig(store)
  const db = rig.open()
  db.exec('CREATE TABLE t (a)')
  await rig.start()
  db.close()
  const client = new ReplicaClient(store, 'ltx')
  const assertions = ['SELECT count(*) = 0 FROM t']
  const made = await drillReplica(client, { ...options, assertions }, async () => ({}))
  return made as RestoredDrill
}

describe('a restore drill', () => {
  it('says how long the restore took and how old the state was, and leaves nothing behind', async () => {
    const made = await drill({})
    expect(made).toMatchObject({ restored: true, assertions: [{ passed: true, value: '1' }] })
    expect(made.durationMs).toBeGreaterThan(0)
    expect(made.ageMs).toBeGreaterThanOrEqual(0)
    expect(drillFailures(made)).toEqual([])
    expect(readdirSync(scratch)).toEqual([])
  })

  it('has lost nothing if the database is still in that state, however old the state is', async () => {
    expect(await drill({ current: () => txid(1) })).toMatchObject({ ageMs: 0 })
    // The database had another commit when the drill began.
    const behind = await drill({ maxAgeMs: 0, current: () => undefined })
    expect(behind.ageMs).toBeGreaterThan(0)
    expect(drillFailures(behind)).toEqual([expect.stringMatching(/^The newest state is .* old/)])
  })

  it('removes what a killed process has left, and nothing else', async () => {
    const mine = tempName()
    const left = `walsync-scratch${mine.replace(`-${process.pid}-`, '-999999999-')}`
    const running = `walsync-scratch${mine}`
    for (const name of [left, running, 'walsync-scratch-of-mine']) {
      mkdirSync(join(scratch, name))
      writeFileSync(join(scratch, name, 'restored.db'), hostname())
    }
    await drill({})
    expect(readdirSync(scratch).toSorted()).toEqual([running, 'walsync-scratch-of-mine'].toSorted())
  })
})

describe('drillFailures', () => {
  const made: RestoredDrill = {
    restored: true,
    txid: txid(1),
    time: undefined,
    bytes: 1,
    durationMs: 1,
    ageMs: undefined,
    maxAgeMs: undefined,
    assertions: [],
  }

  it.each([
    [{ ageMs: 9e9 }, []],
    [{ ageMs: 5000, maxAgeMs: 5000 }, []],
    [
      { ageMs: 5001, maxAgeMs: 500 },
      ['The newest state is 5 s old, and at most 500 ms is allowed.'],
    ],
    [{ maxAgeMs: 500 }, [expect.stringMatching(/^The time of the newest state is not known/)]],
  ])('of %j: %j', (part, expected) => {
    expect(drillFailures({ ...made, ...part })).toEqual(expected)
  })
})
