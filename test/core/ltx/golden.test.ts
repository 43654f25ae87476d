import { describe, expect, it } from 'vitest'
import { decodeLtx, encodeLtx, pageChecksum, toggleChecksum } from '../../../src/core/ltx/index.ts'
import { errorCode, expectSame, filled, golden, goldenFiles, hex } from './ltx-samples.ts'

const INCOMPLETE = 'i-incomplete-snapshot'

describe('files written by the reference implementation', () => {
  const files = goldenFiles()

  it('are 12 of each encoding', () => {
    expect(files.filter((file) => file.encoding === 'frame')).toHaveLength(12)
    expect(files.filter((file) => file.encoding === 'block')).toHaveLength(12)
  })

  it.each(files.filter(({ name }) => name !== INCOMPLETE))(
    '$encoding $name decodes, and survives being encoded anew in both encodings',
    ({ bytes }) => {
      const file = decodeLtx(bytes)
      for (const encoding of ['block', 'frame'] as const) {
        const { postApplyChecksum } = file.trailer
        const again = decodeLtx(encodeLtx(file.header, file.pages, { encoding, postApplyChecksum }))
        expect(again.header).toEqual(file.header)
        expect(again.pages).toEqual(file.pages)
        expect(again.trailer.postApplyChecksum).toBe(postApplyChecksum)
      }
    },
  )

  it.each(['frame', 'block'] as const)('%s: an incomplete snapshot is rejected', (encoding) => {
    const bytes = golden(encoding, INCOMPLETE)
    expect(errorCode(() => decodeLtx(bytes))).toBe('MissingPage')
    expect(decodeLtx(bytes, { lenient: true }).pages).toEqual([filled(1, 0x31)])
  })

  it('differ between the encodings in nothing but form', () => {
    for (const { name, bytes } of files) {
      const one = decodeLtx(bytes, { lenient: true })
      const other = decodeLtx(golden('block', name), { lenient: true })
      expect(one.header).toEqual(other.header)
      expect(one.pages).toEqual(other.pages)
    }
  })
})

describe('contents of reference files', () => {
  it.each(['frame', 'block'] as const)('%s a: a snapshot of one page', (encoding) => {
    const { header, pages, trailer } = decodeLtx(golden(encoding, 'a-snapshot-512-1page-nochk'))
    expect(header).toEqual({
      flags: 2,
      pageSize: 512,
      commit: 1,
      minTxid: 1n,
      maxTxid: 1n,
      timestamp: 1000,
      preApplyChecksum: 0n,
      walOffset: 0,
      walSize: 0,
      walSalt1: 0,
      walSalt2: 0,
      nodeId: 0n,
    })
    expect(pages).toEqual([filled(1, 0x31)])
    const fileChecksum = encoding === 'frame' ? 0xf6d08be73e539784n : 0xf12f449656ee6137n
    expect(trailer).toEqual({ postApplyChecksum: 0n, fileChecksum })
  })

  it.each(['frame', 'block'] as const)(
    '%s c: WAL fields, a gap, an incompressible page',
    (encoding) => {
      const { header, pages } = decodeLtx(golden(encoding, 'c-incremental-512-wal-nochk'))
      expect(header).toMatchObject({
        commit: 300,
        minTxid: 2n,
        timestamp: 0x18bcfe5687b,
        walOffset: 32,
        walSize: 0x430,
        walSalt1: 0x11223344,
        walSalt2: 0x55667788,
        nodeId: 0x0102030405060708n,
      })
      expect(pages.map((page) => page.pgno)).toEqual([2, 300])
      expect(pages[0]).toEqual(filled(2, 0x32))
      expect(new Set(pages[1]!.data).size).toBeGreaterThan(200)
    },
  )

  it.each([
    ['compact-SnapshotPageDataOnly', 0xe836ad7ac0be7594n, 0x91206f60138b3298n],
    ['compact-NonSnapshotPageDataOnly', 0xc08218012f50038en, 0xa211dd2208ba47a3n],
    ['compact-Shrinking', 0x83c62dde98efed0fn, 0xbda4cf27940698e3n],
    ['f-nopages-nochk', 0xc9bde3dc7c5ed7a4n, 0xc9bde3dc7c5ed7a4n],
  ])('%s has the published file checksums', (name, frame, block) => {
    expect(decodeLtx(golden('frame', name)).trailer.fileChecksum).toBe(frame)
    expect(decodeLtx(golden('block', name)).trailer.fileChecksum).toBe(block)
  })

  it('have post-apply checksums that their pages explain', () => {
    const { pages, trailer } = decodeLtx(golden('block', 'compact-SnapshotPageDataOnly'))
    const sum = pages.reduce(
      (sum, { pgno, data }) => toggleChecksum(sum, pageChecksum(pgno, data)),
      0n,
    )
    expect(sum).toBe(0x8a249272ad9f7dean)
    expect(trailer.postApplyChecksum).toBe(sum)
  })
})

describe('our output against the reference, with our own compressor', () => {
  it.each(['frame', 'block'] as const)('%s: is byte-equal for files without pages', (encoding) => {
    for (const name of ['d-commit0-chk', 'f-nopages-nochk']) {
      const bytes = golden(encoding, name)
      const { header, trailer } = decodeLtx(bytes)
      const { postApplyChecksum } = trailer
      expectSame(encodeLtx(header, [], { encoding, postApplyChecksum }), bytes)
    }
  })

  it.each(['frame', 'block'] as const)(
    '%s: is byte-equal in the header and in the frame of an incompressible page',
    (encoding) => {
      const bytes = golden(encoding, 'c-incremental-512-wal-nochk')
      const { header, pages } = decodeLtx(bytes)
      const ours = encodeLtx(header, pages, { encoding })
      expectSame(ours.subarray(0, 100), bytes.subarray(0, 100))
      const marker = hex('0000012c')
      const theirFrame = Buffer.from(bytes).indexOf(marker, 100)
      const ourFrame = Buffer.from(ours).indexOf(marker, 100)
      const size = 512 + (encoding === 'frame' ? 6 + 19 : 10 + 3)
      expectSame(
        ours.subarray(ourFrame, ourFrame + size),
        bytes.subarray(theirFrame, theirFrame + size),
      )
    },
  )

  it('compresses a run into fewer bytes than the reference, so these payloads differ', () => {
    const bytes = golden('block', 'a-snapshot-512-1page-nochk')
    const { header, pages } = decodeLtx(bytes)
    expect(encodeLtx(header, pages).length).toBeLessThan(bytes.length)
  })
})
