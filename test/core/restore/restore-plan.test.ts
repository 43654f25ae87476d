import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { txid } from '../../../src/core/ltx/index.ts'
import type { LtxFileInfo } from '../../../src/core/replica/replica-client.ts'
import { ltxKey } from '../../../src/core/replica/replica-layout.ts'
import { RestoreError } from '../../../src/core/restore/restore-error.ts'
import { planRestore, planToJson, renderPlan } from '../../../src/core/restore/restore-plan.ts'
import type { RestoreTarget } from '../../../src/core/restore/restore-target.ts'
import { cpuMs } from '../../support/cpu-time.ts'
import { timeOfTxid } from './chain.ts'

const REQUEST_BYTES = 64 * 1024

function fileOf(level: number, min: number, max: number, size = 1000): LtxFileInfo {
  return {
    level,
    minTxid: txid(min),
    maxTxid: txid(max),
    key: ltxKey('ltx', level, txid(min), txid(max)),
    size,
    createdAt: timeOfTxid(max),
    lastModified: timeOfTxid(max + 1),
  }
}

const LATEST: RestoreTarget = { kind: 'latest' }
const at = (n: number): RestoreTarget => ({ kind: 'txid', txid: txid(n) })

function errorOf(files: readonly LtxFileInfo[], target: RestoreTarget): RestoreError {
  try {
    planRestore(files, target)
  } catch (error) {
    if (error instanceof RestoreError) return error
    throw error
  }
  throw new Error('Expected an error.')
}

/** Cheapest cost of every reachable TXID, by trying each file after each chain, over and over. */
function bruteForce(files: readonly LtxFileInfo[], limit: bigint): Map<bigint, number> {
  const costs = new Map<bigint, number>([[0n, 0]])
  for (let changed = true; changed; ) {
    changed = false
    for (const file of files) {
      if (file.maxTxid > limit) continue
      for (const [from, cost] of [...costs]) {
        const extends_ = file.minTxid <= from + 1n && file.maxTxid > from
        // A chain's first file must start at TXID 1: from 0 that is the same rule.
        const total = cost + file.size + REQUEST_BYTES
        if (extends_ && total < (costs.get(file.maxTxid) ?? Number.POSITIVE_INFINITY)) {
          costs.set(file.maxTxid, total)
          changed = true
        }
      }
    }
  }
  return costs
}

const anyFile = fc
  .tuple(
    fc.integer({ min: 0, max: 9 }),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 0, max: 6 }),
    fc.integer({ min: 100, max: 300_000 }),
  )
  .map(([level, min, length, size]) => fileOf(level, min, min + length, size))

describe('planRestore', () => {
  it('agrees with brute force on any set of files, and its chains hold together', () => {
    let reachable = 0
    void fc.assert(
      fc.property(
        fc.array(anyFile, { minLength: 1, maxLength: 25 }),
        fc.integer({ min: 1, max: 20 }),
        (files, wanted) => {
          const cost = bruteForce(files, BigInt(wanted)).get(BigInt(wanted))
          if (cost === undefined) {
            expect(['Gap', 'TargetNotReachable']).toContain(errorOf(files, at(wanted)).code)
            return
          }
          reachable++
          const plan = planRestore(files, at(wanted))
          let end = 0n
          for (const file of plan.files) {
            expect(file.minTxid <= end + 1n && file.maxTxid > end).toBe(true)
            end = file.maxTxid
          }
          expect(end).toBe(BigInt(wanted))
          expect(plan.files[0]?.minTxid).toBe(1n)
          expect(plan.bytes + plan.files.length * REQUEST_BYTES).toBe(cost)
        },
      ),
      { numRuns: 3000 },
    )
    expect(reachable).toBeGreaterThan(100)
  })

  it('says truly how far a restore gets', () => {
    void fc.assert(
      fc.property(
        fc.array(anyFile, { minLength: 1, maxLength: 15 }),
        fc.integer({ min: 1, max: 20 }),
        (files, wanted) => {
          const costs = bruteForce(files, BigInt(wanted))
          if (costs.has(BigInt(wanted))) return
          const best = [...costs.keys()]
            .filter((txid) => txid > 0n)
            .sort((a, b) => Number(b - a))[0]
          expect(errorOf(files, at(wanted)).restorableTo?.txid).toBe(best)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('prefers one snapshot to the many files that it replaces', () => {
    const files = [
      ...Array.from({ length: 9 }, (_, i) => fileOf(0, i + 1, i + 1)),
      fileOf(9, 1, 8, 20_000),
    ]
    expect(planRestore(files, LATEST).files.map((file) => file.key)).toEqual([
      'ltx/9/0000000000000001-0000000000000008.ltx',
      'ltx/0/0000000000000009-0000000000000009.ltx',
    ])
  })

  it('prefers a few small files to a huge snapshot', () => {
    const files = [
      fileOf(9, 1, 1, 10_000_000),
      fileOf(0, 2, 2),
      fileOf(0, 3, 3),
      fileOf(9, 1, 3, 11_000_000),
    ]
    expect(planRestore(files, LATEST).files).toHaveLength(3)
  })

  it('tolerates files of one level that overlap', () => {
    const files = [fileOf(1, 1, 5), fileOf(1, 4, 9), fileOf(1, 5, 12)]
    expect(planRestore(files, LATEST).files.map((file) => file.maxTxid)).toEqual([5n, 12n])
  })

  it('plans 100,000 files in well under a second', () => {
    const files = Array.from({ length: 100_000 }, (_, i) => fileOf(0, i + 1, i + 1))
    const spent = cpuMs(() => {
      expect(planRestore(files, LATEST).files).toHaveLength(100_000)
    })
    expect(spent).toBeLessThan(5000)
  })

  it('takes TXIDs beyond 2^53 exactly', () => {
    const big = 2n ** 60n
    const make = (min: bigint, max: bigint): LtxFileInfo => ({
      ...fileOf(0, 1, 1),
      minTxid: txid(min),
      maxTxid: txid(max),
    })
    const files = [make(1n, big), make(big + 1n, big + 1n), make(big + 3n, big + 3n)]
    expect(planRestore(files, { kind: 'txid', txid: txid(big + 1n) }).files).toHaveLength(2)
    expect(errorOf(files, LATEST).message).toContain('1000000000000002 to 1000000000000002')
  })
})

describe('errors of planRestore', () => {
  it('no file at all', () => {
    expect(errorOf([], LATEST).code).toBe('NoReplica')
  })

  it('a gap names the missing TXIDs and the last state before it', () => {
    const error = errorOf([fileOf(0, 1, 3), fileOf(0, 6, 6), fileOf(0, 7, 7)], LATEST)
    expect(error.code).toBe('Gap')
    expect(error.message).toContain('0000000000000004 to 0000000000000005')
    expect(error.message).toContain(`up to TXID 0000000000000003 (${timeOfTxid(3).toISOString()})`)
    expect(error.restorableTo).toEqual({ txid: 3n, time: timeOfTxid(3) })
  })

  it('no base is a gap from TXID 1', () => {
    const error = errorOf([fileOf(0, 5, 5)], LATEST)
    expect(error.code).toBe('Gap')
    expect(error.message).toContain('0000000000000001 to 0000000000000004')
    expect(error.restorableTo).toBeUndefined()
  })

  it('a TXID inside a compacted file names the states on either side', () => {
    const error = errorOf([fileOf(1, 1, 5), fileOf(1, 6, 10)], at(8))
    expect(error.code).toBe('TargetNotReachable')
    expect(error.message).toContain('up to TXID 0000000000000005')
    expect(error.message).toContain('next state is TXID 000000000000000a')
  })

  it('a TXID after the end, and one before the first state', () => {
    expect(errorOf([fileOf(0, 1, 1)], at(2)).code).toBe('TargetNotReachable')
    const early = errorOf([fileOf(9, 1, 4)], at(3))
    expect(early.code).toBe('TargetNotReachable')
    expect(early.message).toContain('the earliest is TXID 0000000000000004')
  })
})

describe('a target time', () => {
  const files = [1, 2, 3, 4].map((n) => fileOf(0, n, n))
  const timed = (n: number): RestoreTarget => ({ kind: 'time', time: timeOfTxid(n) })

  it('takes the last file that is not later, the exact moment included', () => {
    expect(planRestore(files, timed(2)).txid).toBe(2n)
    expect(planRestore(files, timed(2.999)).txid).toBe(2n)
    expect(planRestore(files, timed(99)).txid).toBe(4n)
  })

  it('before the first state is not reachable', () => {
    const error = errorOf(files, timed(0.5))
    expect(error.code).toBe('TargetNotReachable')
    expect(error.message).toContain(timeOfTxid(1).toISOString())
  })

  it('may use a snapshot that was taken later, of an earlier state', () => {
    const snapshot = { ...fileOf(9, 1, 3, 10), createdAt: timeOfTxid(50) }
    const plan = planRestore([...files, snapshot], timed(3.5))
    expect(plan.files.map((file) => file.level)).toEqual([9])
    expect(plan.time).toEqual(timeOfTxid(3))
  })

  it('across a gap is an error, not silently an older state', () => {
    expect(errorOf([files[0], files[1], files[3]] as LtxFileInfo[], timed(4)).code).toBe('Gap')
  })

  it('without listed times is a mistake of the caller', () => {
    const untimed = files.map((file) => ({ ...file, createdAt: undefined }))
    expect(() => planRestore(untimed, timed(2))).toThrow(TypeError)
  })
})

describe('printing a plan', () => {
  const plan = planRestore([fileOf(9, 1, 8, 20_000), fileOf(0, 9, 9)], LATEST)

  it('as text', () => {
    expect(renderPlan(plan).split('\n')).toEqual([
      'Restore the latest state: TXID 0000000000000009 of 2026-01-01T00:09:00.000Z from 2 files, 21000 bytes at most.',
      '  level 9  0000000000000001-0000000000000008  20000 bytes  2026-01-01T00:08:00.000Z',
      '  level 0  0000000000000009-0000000000000009   1000 bytes  2026-01-01T00:09:00.000Z',
    ])
  })

  it('as JSON', () => {
    expect(JSON.parse(JSON.stringify(planToJson(plan)))).toMatchObject({
      target: 'the latest state',
      txid: '0000000000000009',
      time: '2026-01-01T00:09:00.000Z',
      bytes: 21_000,
      files: [{ level: 9, minTxid: '0000000000000001', size: 20_000 }, { level: 0 }],
    })
  })
})
