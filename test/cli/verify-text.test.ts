import { describe, expect, it } from 'vitest'
import { verifyExitCode } from '../../src/cli/commands/verify.ts'
import { type VerifiedReplica, verifyText } from '../../src/cli/commands/verify-text.ts'
import { txid } from '../../src/core/ltx/index.ts'
import type { Comparison, TrialRestore } from '../../src/core/repair/index.ts'
import type { VerifyReport } from '../../src/core/verify/index.ts'

const time = new Date(Date.UTC(2026, 0, 1))
const GOOD: VerifyReport = {
  depth: 'full',
  verdict: 'good',
  files: 3,
  bytes: 1500,
  filesRead: 3,
  bytesRead: 1500,
  foreign: 0,
  redundant: 0,
  orphans: 0,
  durationMs: 1,
  defects: [],
  restorable: [{ from: txid(1), to: txid(3), fromTime: time, toTime: time, states: 3 }],
  lost: [],
  latest: { txid: txid(3), time, restorable: true },
  goodUpTo: { txid: txid(3), time },
}

const compared = (comparison: Comparison | undefined): TrialRestore => {
  const drill = { ageMs: 3000, maxAgeMs: undefined, assertions: [] }
  return { restored: true, txid: txid(3), time, bytes: 5000, durationMs: 7, ...drill, comparison }
}

function replica(report: Partial<VerifyReport> = {}, trial?: TrialRestore): VerifiedReplica {
  return { name: 'app', report: { ...GOOD, ...report }, trial }
}

/** What stands below the table, and the exit code. */
function told(each: VerifiedReplica): readonly [string, number] {
  return [
    verifyText([each], { bucket: './replica' }).split('\n').slice(2).join('\n'),
    verifyExitCode(each),
  ]
}

describe('verify tells', () => {
  it('nothing of a good replica, and 0', () => {
    expect(told(replica())).toEqual(['', 0])
  })

  it('of unrelated and redundant objects and of orphans, which are not defects', () => {
    const [text, code] = told(replica({ foreign: 2, orphans: 1, redundant: 1 }))
    expect(code).toBe(0)
    expect(text).toMatch(
      /1 TXID cannot be restored exactly .*\n.*1 object that two compactions made .*\n.*2 objects of other kinds/,
    )
  })

  it('that an old state is lost and the newest is not', () => {
    const lost = [{ from: txid(2), to: txid(2), fromTime: undefined, toTime: undefined, states: 1 }]
    const defects = [{ code: 'Damaged', key: 'k', message: 'It is broken.', cost: lost }] as const
    const [text, code] = told(replica({ verdict: 'damaged', defects, lost }))
    expect(code).toBe(5)
    expect(text.split('\n')).toEqual([
      'app:',
      '  Damaged: It is broken.',
      '    costs TXID 2',
      '  not restorable: TXID 2',
      expect.stringMatching(/^ {2}try: The newest state is safe\./),
    ])
  })

  it.each([
    ['WrongTime', /^ {2}try: Nothing is lost\. Copy the replica again with its times /],
    ['Overlap', /^ {2}try: Nothing is lost, and nothing need be done: /],
  ] as const)('that an object can be used all the same: %s', (code, remedy) => {
    const defects = [{ code, key: 'k', message: 'It is odd.', cost: [] }] as const
    const [text, exit] = told(replica({ verdict: 'degraded', defects }))
    expect(exit).toBe(5)
    expect(text.split('\n').slice(2)).toEqual([
      '    costs nothing: a restore can use the objects all the same',
      expect.stringMatching(remedy),
    ])
  })

  it('of many lost stretches the first, and how many more', () => {
    const lost = Array.from({ length: 7 }, (_, n) => {
      return { from: txid(2 * n + 1), to: txid(2 * n + 1), fromTime: time, toTime: time, states: 1 }
    })
    expect(told(replica({ lost }))[0]).toMatch(/, TXID 9 \(2026-01-01T00:00:00.000Z\), and 2 more/)
  })

  it.each([
    [
      'no database',
      compared(undefined),
      /^ {2}restore: TXID 3, 5.0 kB in 7 ms, full integrity check ok$/m,
      0,
    ],
    [
      'identical',
      compared({ outcome: 'identical', pages: 9, differing: 0, first: [] }),
      /^ {2}database: identical in all 9 pages$/m,
      0,
    ],
    [
      'different',
      compared({ outcome: 'different', pages: 9, differing: 3, first: [2, 5] }),
      /^ {2}database: DIFFERENT in 3 of 9 pages: 2, 5, …$/m,
      5,
    ],
    [
      'not compared',
      compared({ outcome: 'not-compared', reason: 'it is busy' }),
      /^ {2}database: NOT COMPARED: it is busy$/m,
      1,
    ],
    [
      'failed',
      { restored: false, code: 'MissingPage', message: 'Page 7 is missing.', hint: undefined },
      /^ {2}restore: MissingPage: Page 7 is missing\.$/m,
      5,
    ],
  ] as const)('what came of a restore: %s', (_, trial, text, code) => {
    const [told_, exit] = told(replica({}, trial))
    expect(told_).toMatch(text)
    expect(exit).toBe(code)
  })
})
