import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type TXID, txid } from '../../../src/core/ltx/index.ts'
import type { LtxFileInfo } from '../../../src/core/replica/replica-client.ts'
import { compareFiles } from '../../../src/core/replica/replica-client.ts'
import { ltxKey } from '../../../src/core/replica/replica-layout.ts'
import { reachableTxids } from '../../../src/core/restore/reachable-states.ts'
import { planRestore } from '../../../src/core/restore/restore-plan.ts'
import { assess } from '../../../src/core/verify/assess.ts'
import type { FileFacts } from '../../../src/core/verify/file-facts.ts'
import type { StateSpan } from '../../../src/core/verify/index.ts'
import { restorableStates } from '../../../src/core/verify/restorable-states.ts'

const LAST = 12

interface Case {
  readonly files: readonly LtxFileInfo[]
  readonly facts: ReadonlyMap<string, FileFacts>
  readonly damaged: ReadonlySet<string>
}

const anyFile = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  min: fc.integer({ min: 1, max: LAST }),
  length: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5 })),
  size: fc.integer({ min: 200, max: 300_000 }),
  complete: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
  damaged: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
  // Mostly one page size, mostly files that fit.
  pageSize: fc.constantFrom(512, 512, 512, 512, 512, 1024),
  commit: fc.integer({ min: 10, max: 14 }),
  tailFrom: fc.constantFrom(1, 1, 1, 12),
})

const anyCase = fc
  .uniqueArray(anyFile, {
    minLength: 1,
    maxLength: 16,
    selector: ({ level, min, length }) => `${level} ${min} ${length}`,
  })
  .map((specs): Case => {
    const facts = new Map<string, FileFacts>()
    const damaged = new Set<string>()
    const files = specs.map((spec): LtxFileInfo => {
      const [minTxid, maxTxid] = [txid(spec.min), txid(spec.min + spec.length)]
      const key = ltxKey('ltx', spec.level, minTxid, maxTxid)
      const { pageSize, commit, tailFrom } = spec
      const complete = spec.complete || spec.min === 1
      if (spec.damaged) damaged.add(key)
      else facts.set(key, { minTxid, maxTxid, pageSize, commit, tailFrom, complete, timestamp: 0 })
      const times = { createdAt: undefined, lastModified: new Date(0) }
      return { level: spec.level, minTxid, maxTxid, key, size: spec.size, ...times }
    })
    return { files: files.sort(compareFiles), facts, damaged }
  })

/** One restore after another, each by the planner itself: what `restoreReplica` does, without the bytes. */
function bruteForce({ files, facts, damaged }: Case, rules = true): TXID[] {
  return reachableTxids(files).filter((state) => {
    const avoided: LtxFileInfo[] = []
    for (;;) {
      const usable = files.filter((file) => !avoided.includes(file))
      let chain: readonly LtxFileInfo[]
      try {
        chain = planRestore(usable, { kind: 'txid', txid: state }).files
      } catch {
        return false
      }
      const end = read(chain.toReversed(), facts, damaged, rules)
      if (typeof end === 'boolean') return end
      if (avoided.length === 5) return false
      avoided.push(end)
    }
  })
}

function read(
  newestFirst: readonly LtxFileInfo[],
  facts: Case['facts'],
  damaged: Case['damaged'],
  rules: boolean,
): boolean | LtxFileInfo {
  let newer: FileFacts | undefined
  for (const file of newestFirst) {
    if (damaged.has(file.key)) return file
    const own = facts.get(file.key) as FileFacts
    if (newer !== undefined && rules) {
      if (newer.pageSize !== own.pageSize || newer.tailFrom > own.commit + 1) return false
    }
    if (own.complete) return true
    newer = own
  }
  return false
}

function ends(spans: readonly StateSpan[], files: readonly LtxFileInfo[]): TXID[] {
  const all = [...new Set(files.map(({ maxTxid }) => maxTxid))].sort((a, b) => Number(a - b))
  return all.filter((end) => spans.some(({ from, to }) => from <= end && end <= to))
}

describe('restorableStates', () => {
  it('agrees with planning and reading each state separately', () => {
    let lost = 0
    let saved = 0
    void fc.assert(
      fc.property(anyCase, (each) => {
        const expected = bruteForce(each)
        expect([...restorableStates(each.files, each)].sort((a, b) => Number(a - b))).toEqual(
          expected,
        )
        const states = reachableTxids(each.files)
        lost += states.length - expected.length
        const others = each.files.filter(({ key }) => !each.damaged.has(key))
        saved += expected.filter((state) => !reachableTxids(others).includes(state)).length
      }),
      { numRuns: 3000 },
    )
    expect(lost).toBeGreaterThan(500)
    // Restorable through the name of a damaged object that need not be read.
    expect(saved).toBeGreaterThan(50)
  })

  it('takes 60,000 files with many damaged ones', () => {
    const files = Array.from({ length: 60_000 }, (_, n): LtxFileInfo => {
      const id = txid(n + 1)
      const key = ltxKey('ltx', 0, id, id)
      const times = { createdAt: undefined, lastModified: new Date(0) }
      return { level: 0, minTxid: id, maxTxid: id, key, size: 1000, ...times }
    })
    const damaged = new Set(files.filter((_, n) => n % 300 === 299).map(({ key }) => key))
    expect(restorableStates(files, { facts: new Map(), damaged }).size).toBe(299)
  })
})

describe('assess', () => {
  it('states for each defect what it costs alone, and for all what they cost together', async () => {
    let costs = 0
    let together = 0
    await fc.assert(
      fc.asyncProperty(anyCase, async (each) => {
        const { files, facts, damaged } = each
        const states = reachableTxids(files)
        const damage = [...damaged].map((key) => ({ code: 'Damaged' as const, key, message: '' }))
        const report = await assess({ depth: 'full', files, facts, damage })

        const kept = bruteForce(each)
        expect(ends(report.restorable, files)).toEqual(kept)
        const lost = states.filter((state) => !kept.includes(state))
        const inHole = files
          .map(({ maxTxid }) => maxTxid)
          .some((end) => end > (states.at(-1) ?? 0n))
        expect(report.lost.length > 0).toBe(lost.length > 0 || inHole)
        expect(ends(report.lost, files).filter((end) => states.includes(end))).toEqual(lost)
        expect(report.latest.restorable).toBe(kept.includes(report.latest.txid))

        const firstLost = states.findIndex((state) => !kept.includes(state))
        expect(report.goodUpTo?.txid).toBe(firstLost < 0 ? states.at(-1) : states[firstLost - 1])

        const alone = new Set<TXID>()
        for (const defect of report.defects.filter(({ code }) => code === 'Damaged')) {
          const only = new Set([defect.key as string])
          const good = new Map(facts)
          // The others are good in this question; what is in them was not read.
          for (const key of damaged) {
            if (!only.has(key)) good.set(key, { ...UNREAD, complete: startsAtOne(key) })
          }
          const left = bruteForce({ files, facts: good, damaged: only }, false)
          const cost = states.filter((state) => !left.includes(state))
          expect(ends(defect.cost, files)).toEqual(cost)
          for (const state of cost) alone.add(state)
          costs += cost.length
        }
        together += lost.filter((state) => !alone.has(state)).length
      }),
      { numRuns: 1000 },
    )
    expect(costs).toBeGreaterThan(300)
    expect(together).toBeGreaterThan(10)
  })
})

const UNREAD = {
  minTxid: txid(1),
  maxTxid: txid(1),
  pageSize: 512,
  commit: 10,
  tailFrom: 1,
  timestamp: 0,
}

function startsAtOne(key: string): boolean {
  return key.includes('/0000000000000001-')
}
