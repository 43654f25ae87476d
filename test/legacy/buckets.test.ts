import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import type { RestoreTarget } from '../../src/core/restore/restore-target.ts'
import { gradeLegacy, LegacyError, restoreLegacy } from '../../src/legacy/index.ts'
import { BUCKETS, type Bucket, readBucket, rowsIn, storeOf } from './bucket.ts'

const folder = mkdtempSync(join(tmpdir(), 'walsync-legacy-'))
const output = join(folder, 'out.db')
beforeEach(() => rmSync(output, { force: true }))
afterAll(() => rmSync(folder, { recursive: true }))

const LATEST: RestoreTarget = { kind: 'latest' }
const time = (text: string): RestoreTarget => ({ kind: 'time', time: new Date(text) })

async function restored(bucket: Bucket, target: RestoreTarget, integrityCheck?: 'none') {
  const store = await storeOf(bucket)
  const result = await restoreLegacy(store, bucket.name, target, output, { integrityCheck })
  const { grade, upTo, reasons, base, runs } = result.plan
  const codes = reasons.map(({ code }) => code)
  return { result, grade, upTo: upTo.toISOString(), codes, base, runs, found: rowsIn(output) }
}

describe('the latest state', () => {
  it('of all buckets there is an expectation', () => {
    expect(BUCKETS).toEqual([
      'autocheckpoint',
      'glued-prefix',
      'plain',
      'rollback',
      'snapshots',
      'truncate',
      'vacuum',
    ])
  })

  it.each([
    ['plain', 'complete', '2026-11-24T03:16:57.575Z', []],
    ['glued-prefix', 'complete', '2026-11-24T03:17:22.434Z', []],
    ['snapshots', 'complete', '2026-11-24T03:17:16.600Z', []],
    ['vacuum', 'complete', '2026-11-24T03:17:20.079Z', []],
    // Row for row right; and nothing in the bucket shows that no commit before a restart is missing.
    ['truncate', 'unverifiable', '2026-11-24T03:17:02.784Z', ['restarted']],
  ])('of "%s" is the source row by row, and %s', async (label, grade, upTo, codes) => {
    const bucket = readBucket(label)
    const restore = await restored(bucket, LATEST)
    expect(restore).toMatchObject({ grade, upTo, codes })
    expect(restore.result.rejected).toEqual([])
    expect(bucket.source.at(-1)).toMatchObject(restore.found)
  })

  it('of "rollback" is the state before the rolled-back transaction, and never called complete', async () => {
    const bucket = readBucket('rollback')
    const { grade, codes, found } = await restored(bucket, LATEST)
    expect({ grade, codes }).toEqual({ grade: 'truncated', codes: ['uncommitted'] })
    expect(bucket.source[0]).toMatchObject({ label: 'after rollback', ...found })
    expect(bucket.source.at(-1)?.rows).toBe(15)
  })

  // SQLite restarted the log in place and walsync 0.1 never noticed. No byte of the bucket says so, but
  // its last segments do that the writer was at work.
  it('of "autocheckpoint" is what was stored before it stopped without a trace, and not called complete', async () => {
    const bucket = readBucket('autocheckpoint')
    const { grade, codes, upTo, found } = await restored(bucket, LATEST)
    expect({ grade, codes, upTo }).toEqual({
      grade: 'truncated',
      codes: ['burst'],
      upTo: '2026-11-24T03:17:05.302Z',
    })
    expect(found.rows).toBe(33)
    expect(bucket.source.at(-1)).toMatchObject({ rows: 400, at: '2026-11-24T03:17:06.809Z' })
  })

  it('is graded alike without making a database', async () => {
    for (const label of BUCKETS) {
      const bucket = readBucket(label)
      const report = await gradeLegacy(await storeOf(bucket), bucket.name)
      const { result } = await restored(bucket, LATEST, 'none')
      expect(report.plan.grade).toBe(result.plan.grade)
      expect(report.plan.reasons).toEqual(result.plan.reasons)
      rmSync(output)
    }
  })
})

describe('a point in time', () => {
  // The source noted a state just after its commit, and the upload began a millisecond later.
  const noted = ['snapshots', 'truncate'].flatMap((label) =>
    readBucket(label).source.map((state) => [label, state] as const),
  )

  it.each(noted)('in "%s": $label', async (label, state) => {
    const at = new Date(Date.parse(state.at) + 4).toISOString()
    const { grade, upTo, codes, found } = await restored(readBucket(label), time(at), 'none')
    expect(state).toMatchObject(found)
    expect(Date.parse(upTo)).toBeLessThanOrEqual(Date.parse(at))
    // From the third run on not all pages are in the last one.
    const proven = label === 'snapshots' || /truncate [01]$/.test(state.label)
    expect({ grade, codes }).toEqual(
      proven ? { grade: 'complete', codes: [] } : { grade: 'unverifiable', codes: ['restarted'] },
    )
  })

  it('within a transaction is the state before it, and complete, because the log continues', async () => {
    const bucket = readBucket('rollback')
    const { grade, found } = await restored(bucket, time('2026-11-24T03:17:08.190Z'), 'none')
    expect(grade).toBe('complete')
    expect(found.rows).toBe(5)
  })

  it('before the first object is refused, and nothing is written', async () => {
    await expect(restored(readBucket('plain'), time('2026-11-24T03:16:56.213Z'))).rejects.toThrow(
      expect.objectContaining({ code: 'TargetNotReachable', name: 'LegacyError' }),
    )
    expect(existsSync(output)).toBe(false)
  })
})

describe('what cannot be asked for', () => {
  it('a TXID', async () => {
    const target = { kind: 'txid', txid: 1n } as RestoreTarget
    await expect(restored(readBucket('plain'), target)).rejects.toThrow(
      expect.objectContaining({
        code: 'NoTxids',
        hint: expect.stringContaining('--point-in-time'),
      }),
    )
  })

  it('a name that holds nothing', async () => {
    const store = await storeOf(readBucket('plain'))
    await expect(gradeLegacy(store, 'other')).rejects.toThrow(LegacyError)
  })
})
