import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { ChainSplitter, type FrameChain } from '../../src/legacy/frame-chain.ts'
import type { LegacySegment } from '../../src/legacy/list-legacy.ts'
import { detectFormat, USUAL_FORMAT } from '../../src/legacy/read-history.ts'
import { assembleHistory, follows } from '../../src/legacy/wal-history.ts'

const folder = mkdtempSync(join(tmpdir(), 'walsync-history-'))
afterAll(() => rmSync(folder, { recursive: true }))
const PAGE_SIZE = 512
const FRAME = PAGE_SIZE + 24

/** Frames of two lives of one log, the second after a checkpoint that emptied the file. */
function twoLives(): [Buffer, Buffer] {
  const path = join(folder, 'source.db')
  using db = new DatabaseSync(path)
  db.exec(`PRAGMA page_size = ${PAGE_SIZE}; PRAGMA journal_mode = wal; CREATE TABLE t (x)`)
  const insert = db.prepare('INSERT INTO t VALUES (?)')
  const lives = [0, 1].map(() => {
    for (let i = 0; i < 30; i++) insert.run('x'.repeat(i * 11))
    const frames = readFileSync(`${path}-wal`).subarray(32)
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return frames
  })
  return lives as [Buffer, Buffer]
}
const [first, second] = twoLives()
const frames = first.length / FRAME

interface Upload {
  readonly from: number
  readonly to: number
}

function assemble(uploads: readonly Upload[], life = first, later: readonly Upload[] = []) {
  const segments: LegacySegment[] = []
  const chains: FrameChain[] = []
  const add = (log: Buffer, { from, to }: Upload): void => {
    const bytes = log.subarray(from * FRAME, to * FRAME)
    const uploadedAt = new Date(Date.UTC(2026, 0, 1) + segments.length * 1000)
    const key = `wal/${segments.length}`
    const segment = { key, size: bytes.length, storedAt: uploadedAt, uploadedAt, generation: 0 }
    segments.push(segment)
    const hint = { ...USUAL_FORMAT, pageSize: PAGE_SIZE }
    const format = detectFormat(segment, bytes, hint)
    if (format === undefined) throw new Error('The format was not found.')
    const splitter = new ChainSplitter(segment, format)
    // In pieces of an odd length, as a network brings them.
    for (let at = 0; at < bytes.length; at += 777) splitter.take(bytes.subarray(at, at + 777))
    chains.push(...splitter.end())
  }
  for (const upload of uploads) add(life, upload)
  for (const upload of later) add(second, upload)
  return assembleHistory(segments, chains)
}

const upload = fc
  .tuple(fc.nat(frames - 1), fc.integer({ min: 1, max: frames }))
  .map(([from, length]) => ({ from, to: Math.min(frames, from + length) }))

describe('assembleHistory', () => {
  it('assembles the same log from uploads of any lengths, in any order, repeatedly', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: frames - 1 }))
    fc.assert(
      fc.property(cuts, fc.array(upload), fc.infiniteStream(fc.nat()), (at, repeated, order) => {
        const places = [0, ...at.sort((a, b) => a - b), frames]
        const once = places.slice(1).map((to, i) => ({ from: places[i] as number, to }))
        const shuffled = [...once, ...repeated]
          .map((one) => ({ one, key: order.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ one }) => one)
        const { runs, loose } = assemble(shuffled)
        expect(runs).toHaveLength(1)
        expect(runs[0]?.length).toBe(frames)
        expect(runs[0]?.forked).toBe(false)
        expect(loose).toEqual([])
      }),
    )
  })

  it('gets as far as the uploads without a gap, and no farther', () => {
    fc.assert(
      fc.property(fc.array(upload, { minLength: 1, maxLength: 12 }), (uploads) => {
        let reach = 0
        for (let before = -1; before !== reach; ) {
          before = reach
          for (const { from, to } of uploads) if (from <= reach && to > reach) reach = to
        }
        const { runs, loose, broken } = assemble(uploads)
        expect(runs[0]?.length ?? 0).toBe(reach)
        const cutOff = uploads.filter(({ from }) => from > reach || reach === 0)
        expect(loose).toHaveLength(cutOff.length)
        expect(broken.size).toBe(cutOff.length > 0 && reach > 0 ? 1 : 0)
      }),
    )
  })

  it('joins a restart to the log before it, unless that has a hole', () => {
    const whole = { from: 0, to: frames }
    const joined = assemble([whole], first, [{ from: 0, to: 5 }])
    const [a, b] = joined.runs
    expect(a && b && follows(joined, a, b)).toBe(true)
    expect(a && b && follows(joined, b, a)).toBe(false)
    const holed = assemble(
      [
        { from: 0, to: 3 },
        { from: 4, to: frames },
      ],
      first,
      [{ from: 0, to: 5 }],
    )
    const [c, d] = holed.runs
    expect(c && d && follows(holed, c, d)).toBe(false)
  })
})

describe('detectFormat', () => {
  it('detects the page size of a segment that has a first frame, or two consecutive frames', () => {
    for (const [from, to] of [
      [0, 1],
      [7, 9],
    ] as const) {
      const bytes = first.subarray(from * FRAME, to * FRAME)
      const segment = { size: bytes.length } as LegacySegment
      expect(detectFormat(segment, bytes, USUAL_FORMAT)).toEqual({
        pageSize: 512,
        bigEndian: false,
      })
    }
  })

  it('has none for a length that no frames have', () => {
    const bytes = first.subarray(0, FRAME + 1)
    expect(
      detectFormat({ size: bytes.length } as LegacySegment, bytes, USUAL_FORMAT),
    ).toBeUndefined()
  })
})
