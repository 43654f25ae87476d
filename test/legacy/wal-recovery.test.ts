import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import {
  decodeWalHeader,
  encodeWalHeader,
  extendWalChecksum,
  type WalHeader,
} from '../../src/core/wal/index.ts'
import { checksumBefore, recoverWalHeader } from '../../src/legacy/wal-recovery.ts'

const folder = mkdtempSync(join(tmpdir(), 'walsync-recovery-'))
afterAll(() => rmSync(folder, { recursive: true }))
const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]
let count = 0

/** The WAL that SQLite makes of some commits, after some restarts of it in place. */
function realWal(pageSize: number, restarts: number, rows: number): Buffer {
  const path = join(folder, `${++count}.db`)
  const db = new DatabaseSync(path)
  db.exec(`PRAGMA page_size = ${pageSize}; PRAGMA journal_mode = wal; CREATE TABLE t (x)`)
  const insert = db.prepare('INSERT INTO t VALUES (hex(randomblob(?)))')
  for (let i = 0; i <= restarts; i++) {
    for (let row = 0; row < rows; row++) insert.run(row * 50)
    if (i < restarts) db.exec('PRAGMA wal_checkpoint(RESTART)')
  }
  const wal = readFileSync(`${path}-wal`)
  db.close()
  return wal
}

/** The same frames as a machine with the other byte order would have written them. */
function inOtherOrder(wal: Buffer, header: WalHeader): Buffer {
  const bigEndian = !header.bigEndian
  const out = Buffer.from(wal)
  out.set(encodeWalHeader({ ...header, bigEndian }))
  const sum = { s1: out.readUInt32BE(24), s2: out.readUInt32BE(28) }
  const size = header.pageSize + 24
  for (let at = 32; at + size <= out.length; at += size) {
    extendWalChecksum(sum, out, at, at + 8, bigEndian)
    extendWalChecksum(sum, out, at + 24, at + size, bigEndian)
    out.writeUInt32BE(sum.s1, at + 16)
    out.writeUInt32BE(sum.s2, at + 20)
  }
  return out
}

function headerOf(wal: Buffer): WalHeader {
  const header = decodeWalHeader(wal)
  if (header === undefined) throw new Error('SQLite wrote no WAL header.')
  return header
}

describe('recoverWalHeader', () => {
  it.each(PAGE_SIZES)(
    'recovers the 32 bytes of real logs, for pages of %d bytes and both byte orders',
    (pageSize) => {
      fc.assert(
        fc.property(fc.nat(3), fc.integer({ min: 1, max: 6 }), (restarts, rows) => {
          const wal = realWal(pageSize, restarts, rows)
          const header = headerOf(wal)
          expect(header.sequence).toBe(restarts)
          for (const bytes of [wal, inOtherOrder(wal, header)]) {
            const { bigEndian } = headerOf(bytes)
            const frames = bytes.subarray(32)
            const found = recoverWalHeader(frames, 0, pageSize, bigEndian)
            expect(Buffer.from(encodeWalHeader(found as WalHeader))).toEqual(bytes.subarray(0, 32))
            expect(recoverWalHeader(frames, 0, pageSize, !bigEndian)).toBeUndefined()
          }
        }),
        { numRuns: 4 },
      )
    },
  )

  it('takes no later frame for the first', () => {
    const wal = realWal(512, 1, 20)
    const frames = wal.subarray(32)
    const size = 512 + 24
    for (let at = size; at + size <= frames.length; at += size) {
      for (const order of [false, true]) {
        expect(recoverWalHeader(frames, at, 512, order)).toBeUndefined()
      }
    }
  })

  // Half of the checksum is spent on the sequence number: see first-frame.ts, which makes up for it.
  it('notices changed salts always, and other changes of a bit unless they pass for another sequence', () => {
    const wal = realWal(512, 1, 20)
    const header = headerOf(wal)
    const first = wal.subarray(32, 32 + 512 + 24)
    let missed = 0
    for (let bit = 0; bit < first.length * 8; bit++) {
      const changed = Buffer.from(first)
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
      const found = recoverWalHeader(changed, 0, 512, header.bigEndian)
      if (found === undefined) continue
      missed++
      expect(bit >> 3 < 8 || bit >> 3 >= 16).toBe(true)
      expect(found.sequence).not.toBe(header.sequence)
    }
    expect(missed / (first.length * 8)).toBeLessThan(0.05)
  })
})

describe('checksumBefore', () => {
  it('reverses the extension of the checksum, for any bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 536, maxLength: 536 }),
        fc.nat(0xffffffff),
        fc.nat(0xffffffff),
        fc.boolean(),
        (bytes, s1, s2, bigEndian) => {
          const frame = Buffer.from(bytes)
          const sum = { s1, s2 }
          extendWalChecksum(sum, frame, 0, 8, bigEndian)
          extendWalChecksum(sum, frame, 24, 536, bigEndian)
          frame.writeUInt32BE(sum.s1, 16)
          frame.writeUInt32BE(sum.s2, 20)
          expect(checksumBefore(frame, 0, 512, bigEndian)).toEqual({ s1, s2 })
        },
      ),
    )
  })
})
