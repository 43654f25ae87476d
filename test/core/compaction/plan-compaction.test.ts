import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type CompactionStep,
  planCompaction,
} from '../../../src/core/compaction/plan-compaction.ts'
import type { LtxFileInfo } from '../../../src/core/replica/replica-client.ts'
import { lastTxid } from '../../../src/core/restore/reachable-states.ts'
import { fileTime } from '../../../src/core/retention/restore-points.ts'
import { fileAt, HOUR, listed, MINUTE, names, SECOND, START } from '../retention/listing.ts'

const at = (seconds: number): number => START + seconds * SECOND

/** One level-0 file a second, from TXID 2 at second 2 on; TXID 1 is the base. */
function everySecond(last: number): LtxFileInfo[] {
  const files = [fileAt(9, 1, 1, at(1), 1_000_000)]
  for (let n = 2; n <= last; n++) files.push(fileAt(0, n, n, at(n)))
  return files
}

function plan(files: readonly LtxFileInfo[], level: number, now: number, intervalMs = 30 * SECOND) {
  return planCompaction(files, level, { intervalMs, now })
}

function inputs(steps: readonly CompactionStep[]): string[] {
  return steps.map(({ files }) => names(files).join(' '))
}

describe('planCompaction', () => {
  it('creates one file per interval, and for the current one when it is over', () => {
    const steps = plan(everySecond(65), 1, at(66))
    expect(steps.map(({ minTxid, maxTxid, files }) => [minTxid, maxTxid, files.length])).toEqual([
      [2n, 29n, 28],
      [30n, 59n, 30],
      [60n, 65n, 6],
    ])
    expect(steps.map(({ dueAt }) => dueAt)).toEqual([at(30), at(60), at(90)])
    expect(steps[1]).toMatchObject({ level: 1, bytes: 30_000 })
  })

  it('continues after the newest file of the level and of those above, except snapshots', () => {
    const files = [...everySecond(8), fileAt(9, 1, 8, at(8), 1_000_000)]
    expect(inputs(plan([...files, fileAt(1, 2, 4, at(4))], 1, at(40)))).toEqual([
      '0:5-5 0:6-6 0:7-7 0:8-8',
    ])
    expect(inputs(plan([...files, fileAt(3, 2, 6, at(6))], 1, at(40)))).toEqual(['0:7-7 0:8-8'])
    expect(inputs(plan([...files, fileAt(8, 2, 8, at(8))], 1, at(40)))).toEqual([])
  })

  it('takes the longest files of all levels below', () => {
    const files = [
      ...everySecond(9),
      fileAt(1, 2, 4, at(4)),
      fileAt(1, 2, 3, at(3)),
      fileAt(2, 5, 8, at(8)),
      fileAt(1, 5, 8, at(8), 900),
    ]
    expect(inputs(plan(files, 3, at(40)))).toEqual(['1:2-4 1:5-8 0:9-9'])
    expect(inputs(plan(files.slice(0, -1), 3, at(40)))).toEqual(['1:2-4 2:5-8 0:9-9'])
  })

  it('leaves a file that is alone in its interval to a higher level', () => {
    const files = [2, 40, 41, 70].map((second, i) => fileAt(0, i + 2, i + 2, at(second)))
    expect(inputs(plan(files, 1, at(100)))).toEqual(['0:3-3 0:4-4'])
    files.push(fileAt(1, 3, 4, at(41)))
    expect(inputs(plan(files, 1, at(100)))).toEqual([])
    expect(inputs(plan(files, 2, at(301), 5 * MINUTE))).toEqual(['0:2-2 1:3-4 0:5-5'])
  })

  it('never copies a whole database', () => {
    const files = [fileAt(0, 1, 1, at(1)), fileAt(0, 2, 2, at(2)), fileAt(0, 3, 3, at(3))]
    expect(inputs(plan(files, 1, at(40)))).toEqual(['0:2-2 0:3-3'])
    expect(inputs(plan([fileAt(1, 1, 3, at(3)), fileAt(0, 4, 4, at(4))], 2, at(400)))).toEqual([])
  })

  it('merges nothing across a gap, and continues after it', () => {
    const files = [2, 3, 4, 7, 8, 10, 12, 13].map((n) => fileAt(0, n, n, at(n)))
    expect(inputs(plan(files, 1, at(40)))).toEqual([
      '0:2-2 0:3-3 0:4-4',
      '0:7-7 0:8-8',
      '0:12-12 0:13-13',
    ])
  })

  it('uses an overlapping file if none starts right after the last one', () => {
    const behind = [fileAt(2, 2, 10, at(10)), fileAt(1, 2, 15, at(15)), fileAt(0, 16, 16, at(16))]
    expect(inputs(plan(behind, 2, at(400), 5 * MINUTE))).toEqual(['1:2-15 0:16-16'])
    const within = [fileAt(0, 2, 2, at(2)), fileAt(1, 1, 2, at(2)), fileAt(1, 2, 5, at(5))]
    expect(inputs(plan([...within, fileAt(0, 3, 3, at(3))], 2, at(400), 5 * MINUTE))).toEqual([])
    const dead = [fileAt(0, 6, 6, at(6)), fileAt(1, 3, 9, at(9)), fileAt(2, 2, 5, at(5))]
    expect(inputs(plan(dead, 2, at(400), 5 * MINUTE))).toEqual(['0:6-6 1:3-9'])
  })

  it('creates several files if there are more inputs than one merge may have', () => {
    const files = everySecond(29)
    const steps = planCompaction(files, 1, { intervalMs: 30 * SECOND, now: at(60), maxInputs: 10 })
    expect(steps.map(({ files }) => files.length)).toEqual([10, 10, 8])
    expect(steps.map(({ dueAt }) => dueAt)).toEqual([at(30), at(30), at(30)])
  })

  it('uses the time of the transactions, and that of the store only if there is no other', () => {
    const late = { lastModified: at(500) }
    const files = [
      listed(0, 2, 2, { ...late, createdAt: at(28) }),
      listed(0, 3, 3, { ...late, createdAt: at(29) }),
      listed(0, 4, 4, { ...late, createdAt: at(31) }),
    ]
    expect(inputs(plan(files, 1, at(501)))).toEqual(['0:2-2 0:3-3'])
    const unknown = files.map((file) => ({ ...file, createdAt: undefined }))
    expect(plan(unknown, 1, at(501))[0]?.dueAt).toBe(at(510))
  })

  it('waits for no interval that has not begun, by a clock that was set back', () => {
    const files = [2, 3].map((n) => fileAt(0, n, n, at(n) + 100 * HOUR))
    expect(plan(files, 1, at(60))[0]?.dueAt).toBe(at(60))
    files.push(fileAt(0, 4, 4, at(61)), fileAt(0, 5, 5, at(62)))
    const steps = plan(files, 1, at(63))
    expect(inputs(steps)).toEqual(['0:2-2 0:3-3', '0:4-4 0:5-5'])
    expect(steps.map(({ dueAt }) => dueAt)).toEqual([at(63), at(90)])
  })

  it.each([0, 9, 1.5, -1])('refuses level %d', (level) => {
    expect(() => plan([], level, 0)).toThrow(RangeError)
  })

  it('plans a whole day of writes in one go', () => {
    const files = everySecond(86_400)
    expect(plan(files, 1, at(86_401)).length).toBe(2880)
  })
})

/** Times mostly ascend with the TXIDs, as clocks do. */
const anyFile = fc
  .tuple(
    fc.oneof({ weight: 4, arbitrary: fc.nat(2) }, { weight: 1, arbitrary: fc.nat(9) }),
    fc.integer({ min: 1, max: 25 }),
    fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(6) }),
    fc.oneof(
      { weight: 9, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.nat(400) },
    ),
    fc.constantFrom(500, 1000),
  )
  .map(([level, min, length, second, size]) =>
    fileAt(level, min, min + length, at(second ?? (min + length) * 10), size),
  )

describe('planCompaction of any set of files', () => {
  it('joins what continues in one interval, moves ahead with each step, and comes to an end', () => {
    let merges = 0
    void fc.assert(
      fc.property(
        fc.tuple(fc.nat(25), fc.array(anyFile, { maxLength: 15 })),
        fc.integer({ min: 1, max: 8 }),
        fc.constantFrom(10, 60, 200),
        fc.integer({ min: 2, max: 5 }),
        ([last, others], level, seconds, maxInputs) => {
          const chain = Array.from({ length: last }, (_, i) => fileAt(0, i + 2, i + 2, at(i * 10)))
          const files = [...chain, ...others]
          const options = { intervalMs: seconds * SECOND, now: at(1000), maxInputs }
          const steps = planCompaction(files, level, options)
          merges += steps.length
          const above = files.filter((file) => file.level >= level && file.level < 9)
          let reached: bigint = lastTxid(above)
          for (const { files: merged, minTxid, maxTxid } of steps) {
            expect(merged.length).toBeGreaterThanOrEqual(2)
            expect(merged.length).toBeLessThanOrEqual(maxInputs)
            expect([merged[0]?.minTxid, merged.at(-1)?.maxTxid]).toEqual([minTxid, maxTxid])
            const intervals = merged.map((file) => Math.floor(fileTime(file) / options.intervalMs))
            expect(new Set(intervals).size).toBe(1)
            merged.forEach((file, i) => {
              expect(file.level).toBeLessThan(level)
              expect(file.minTxid).toBeGreaterThan(1n)
              expect(file.maxTxid).toBeGreaterThan(reached)
              if (i > 0) expect(file.minTxid).toBeLessThanOrEqual(reached + 1n)
              reached = file.maxTxid
            })
          }
          const outputs = steps.map(({ files, minTxid, maxTxid }) => {
            const time = fileTime(files.at(-1) as LtxFileInfo)
            return fileAt(level, Number(minTxid), Number(maxTxid), time)
          })
          expect(planCompaction([...files, ...outputs], level, options)).toEqual([])
        },
      ),
      { numRuns: 3000 },
    )
    expect(merges).toBeGreaterThan(2000)
  })
})
