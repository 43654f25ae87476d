import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeLtx, encodeLtx, txid } from '../../../src/core/ltx/index.ts'
import {
  type VerifyMemory,
  type VerifyReport,
  verifyReplica,
} from '../../../src/core/verify/index.ts'
import { NEWEST, SmallReplica, STATES, txidsIn } from './small-replica.ts'

let replica: SmallReplica
/** All objects good. */
const memory: VerifyMemory = new Map()
beforeAll(async () => {
  replica = await SmallReplica.create()
  await verifyReplica(replica.client, { memory })
})
afterAll(() => replica.remove())

/** Reads the changed objects only: hundreds of verifications a second. */
function verify(...changed: string[]): Promise<VerifyReport> {
  const known: VerifyMemory = new Map(memory)
  for (const key of changed) known.delete(key)
  return verifyReplica(replica.client, { memory: known })
}

let harmless = 0

/** The object is named, or it still says what it said, so that all states come out as they were. */
async function found(key: string): Promise<boolean> {
  const { defects } = await verify(key)
  if (defects.length === 0) {
    const [now, then] = [await replica.stored(key), replica.bytesOf(key)].map((bytes) =>
      decodeLtx(bytes),
    )
    expect(now).toEqual(then)
    // Fifteen objects of a few pages: a tenth of the cases, restored in full, is enough beside that.
    if (harmless++ % 10 === 0) {
      expect(await replica.restoredStates()).toHaveLength(STATES.length)
    }
    return false
  }
  expect(defects.map((defect) => defect.key)).toEqual([key])
  return true
}

/** What the report says can be restored is what a restore makes, to the byte, and no more. */
async function expectExact(report: VerifyReport): Promise<void> {
  const ends = new Set((await replica.client.list()).map(({ maxTxid }) => maxTxid))
  const restored = await replica.restoredStates()
  expect(txidsIn(report.restorable).filter((txid) => ends.has(txid))).toEqual(restored)
  expect(report.restorable.reduce((sum, { states }) => sum + states, 0)).toBe(restored.length)
}

describe('a good replica', () => {
  it('has no defect, and every state restores', async () => {
    const report = await verifyReplica(replica.client)
    expect(report).toMatchObject({ verdict: 'good', defects: [], lost: [], orphans: 0, foreign: 0 })
    expect(report.filesRead).toBe(replica.keys.length)
    expect(report.bytesRead).toBe(report.bytes)
    expect(report.goodUpTo?.txid).toBe(NEWEST)
    expect(txidsIn(report.restorable)).toHaveLength(STATES.length)
    await expectExact(report)
  })
})

describe('every byte of every object', () => {
  it('flipped: the object is named, unless the flip changes no state', async () => {
    const tally = { named: 0, harmless: 0 }
    for (const key of replica.keys) {
      for (let at = 0; at < replica.bytesOf(key).length; at++) {
        await replica.flip(key, at)
        tally[(await found(key)) ? 'named' : 'harmless']++
      }
      await replica.mend(key)
    }
    const bytes = replica.keys.reduce((sum, key) => sum + replica.bytesOf(key).length, 0)
    expect(tally.named + tally.harmless).toBe(bytes)
    // Only a byte of a compressed page that decompresses to the same page may pass.
    expect(tally.harmless).toBeLessThan(bytes / 50)
  })

  it('cut off, at every seventh length: the object is named', async () => {
    for (const key of replica.keys) {
      const bytes = replica.bytesOf(key)
      for (let length = 0; length < bytes.length; length += 7) {
        await replica.replace(key, bytes.subarray(0, length))
        expect(await found(key)).toBe(true)
      }
      await replica.mend(key)
    }
  })

  it('with trailing bytes: the object is named', async () => {
    for (const key of replica.keys) {
      for (const more of [1, 16, 600]) {
        await replica.replace(key, Buffer.concat([replica.bytesOf(key), Buffer.alloc(more)]))
        expect(await found(key)).toBe(true)
      }
      await replica.mend(key)
    }
  })
})

describe('every object', () => {
  it('with the bytes of each other one: named, unless both stand for the same TXIDs', async () => {
    for (const key of replica.keys) {
      for (const other of replica.keys) {
        await replica.replace(key, replica.bytesOf(other))
        const sameTxids = key.split('/').at(-1) === other.split('/').at(-1)
        expect(await found(key)).toBe(!sameTxids)
      }
      await replica.mend(key)
    }
  })

  it('with other TXIDs in its header, under a right checksum: named', async () => {
    for (const key of replica.keys) {
      const { header, pages } = decodeLtx(replica.bytesOf(key))
      const shifted = { ...header, maxTxid: txid(header.maxTxid + 1n) }
      await replica.replace(key, encodeLtx(shifted, pages))
      const report = await verify(key)
      expect(report.defects).toMatchObject([{ code: 'WrongName', key }])
      await replica.mend(key)
    }
  })

  it('damaged: what it costs is exactly what can no longer be restored', async () => {
    const costs: number[] = []
    for (const key of replica.keys) {
      await replica.flip(key, 20)
      const report = await verify(key)
      await expectExact(report)
      const [defect] = report.defects
      expect(defect?.cost).toEqual(report.lost)
      expect(report.verdict).toBe(report.lost.length > 0 ? 'damaged' : 'degraded')
      costs.push(txidsIn(report.lost).length)
      await replica.mend(key)
    }
    // Some cost nothing, some a few states, some everything behind them: all kinds are there.
    expect(new Set(costs).size).toBeGreaterThan(3)
    expect(costs).toContain(0)
  })

  it('damaged together with each other one: what both cost is exactly what can no longer be restored', async () => {
    let more = 0
    for (const [index, first] of replica.keys.entries()) {
      await replica.flip(first, 20)
      // A fifth of the pairs, each object in several of them.
      for (const second of replica.keys.slice(index + 1).filter((_, n) => (n + index) % 5 === 0)) {
        await replica.flip(second, 20)
        const report = await verify(first, second)
        await expectExact(report)
        const alone = new Set(report.defects.flatMap(({ cost }) => txidsIn(cost)))
        if (txidsIn(report.lost).some((state) => !alone.has(state))) more++
        await replica.mend(second)
      }
      await replica.mend(first)
    }
    // Objects that stand in for one another cost nothing alone.
    expect(more).toBeGreaterThan(0)
  })

  it('deleted: missing TXIDs are reported, or what is left restores to the last state', async () => {
    const gaps: string[] = []
    for (const key of replica.keys) {
      await replica.store.delete(key)
      const report = await verify()
      await expectExact(report)
      if (report.verdict === 'damaged') {
        expect(report.defects.map(({ code }) => code)).toEqual(['Gap'])
        gaps.push(key)
      } else {
        expect(report).toMatchObject({ verdict: 'good', latest: { restorable: true } })
        // Nothing in the store tells that there was one more.
        const end = key.endsWith('0000000b.ltx') ? NEWEST - 1n : NEWEST
        expect(report.goodUpTo?.txid).toBe(end)
      }
      await replica.mend(key)
    }
    // TXIDs 2 to 9 are in two files or more, and the last one leaves no hole.
    expect(gaps).toEqual([replica.keys[9]])
  })

  it('deleted, the newest: reported where the caller knows that it was stored', async () => {
    const newest = replica.keys[10] as string
    await replica.store.delete(newest)
    const report = await verifyReplica(replica.client, { depth: 'quick', atLeast: NEWEST })
    expect(report).toMatchObject({
      verdict: 'damaged',
      defects: [{ code: 'EndMissing', cost: [{ from: NEWEST, to: NEWEST }] }],
      lost: [{ from: NEWEST, to: NEWEST }],
    })
    await replica.mend(newest)
    expect(await verify()).toMatchObject({ verdict: 'good' })
  })
})
