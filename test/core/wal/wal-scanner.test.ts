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
  isLaterRun,
  isNextRun,
  missingGrowth,
  startOfRun,
  WAL_HEADER_SIZE,
  type WalHeader,
  WalScanner,
  walFrameOffset,
  walFrameSize,
} from '../../../src/core/wal/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'walsync-wal-'))
afterAll(() => rmSync(folder, { recursive: true }))
let count = 0

/** The WAL that real SQLite writes for `sql`, read while the connection is open. */
function realWal(sql: string, pageSize = 4096): Uint8Array {
  const path = join(folder, `${++count}.db`)
  const db = new DatabaseSync(path)
  db.exec(
    `PRAGMA page_size = ${pageSize}; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0`,
  )
  db.exec(sql)
  const wal = readFileSync(`${path}-wal`)
  db.close()
  return new Uint8Array(wal)
}

const THREE_COMMITS = `CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(9000)); UPDATE t SET a = 1`

function scanAll(wal: Uint8Array): WalScanner {
  const header = decodeWalHeader(wal)!
  const scanner = new WalScanner(header, startOfRun(header), 0)
  scanner.scan(wal.subarray(WAL_HEADER_SIZE))
  return scanner
}

/** The same log with checksum words in the other byte order, as a machine of the other endianness writes it. */
function otherEndian(wal: Uint8Array): Uint8Array {
  const header = decodeWalHeader(wal)!
  const size = walFrameSize(header.pageSize)
  const copy = wal.slice()
  const flipped = { ...header, bigEndian: !header.bigEndian }
  copy.set(encodeWalHeader(flipped))
  const view = new DataView(copy.buffer)
  const sum = { s1: view.getUint32(24), s2: view.getUint32(28) }
  for (let at = WAL_HEADER_SIZE; at + size <= copy.length; at += size) {
    extendWalChecksum(sum, copy, at, at + 8, flipped.bigEndian)
    extendWalChecksum(sum, copy, at + 24, at + size, flipped.bigEndian)
    view.setUint32(at + 16, sum.s1)
    view.setUint32(at + 20, sum.s2)
  }
  return copy
}

describe('WalScanner on logs of real SQLite', () => {
  it.each([512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])('page size %i', (pageSize) => {
    const wal = realWal(THREE_COMMITS, pageSize)
    const scanner = scanAll(wal)
    const frames = (wal.length - WAL_HEADER_SIZE) / walFrameSize(pageSize)
    expect(scanner.position.frame).toBe(frames)
    expect(scanner.pages.has(1)).toBe(true)
    expect(scanner.commit).toBeGreaterThan(1)
    expect(missingGrowth(scanner, 0)).toEqual([])
  })

  it('reads both byte orders of checksum words', () => {
    const wal = realWal(THREE_COMMITS)
    const other = scanAll(otherEndian(wal))
    const native = scanAll(wal)
    expect(decodeWalHeader(otherEndian(wal))!.bigEndian).toBe(!decodeWalHeader(wal)!.bigEndian)
    expect([...other.pages]).toEqual([...native.pages])
    expect(other.position.frame).toBe(native.position.frame)
  })

  it('reads from a buffer at any alignment', () => {
    const wal = realWal(THREE_COMMITS)
    for (const shift of [1, 2, 3, 5]) {
      const shifted = new Uint8Array(wal.length + shift).subarray(shift)
      shifted.set(wal)
      expect(scanAll(shifted).position).toEqual(scanAll(wal).position)
    }
  })

  it('does not count frames of a transaction that spilled and was rolled back', () => {
    const committed = scanAll(realWal('CREATE TABLE t (a); INSERT INTO t VALUES (1)'))
    const wal = realWal(`CREATE TABLE t (a); INSERT INTO t VALUES (1); PRAGMA cache_size = 5;
      BEGIN; INSERT INTO t SELECT zeroblob(3000) FROM (WITH RECURSIVE n(i) AS
        (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT i FROM n); ROLLBACK`)
    const scanner = scanAll(wal)
    expect(scanner.frame).toBeGreaterThan(committed.position.frame)
    expect(scanner.position.frame).toBe(committed.position.frame)
    expect(Math.max(...scanner.pages.keys())).toBeLessThanOrEqual(scanner.commit)
  })

  it('stops at every damaged byte of a log, at a commit before it', () => {
    const wal = realWal(
      'CREATE TABLE t (a); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)',
      512,
    )
    const size = walFrameSize(512)
    for (let at = WAL_HEADER_SIZE; at < wal.length; at++) {
      const damaged = wal.slice()
      damaged[at]! ^= 0x10
      const scanner = scanAll(damaged)
      const frame = Math.floor((at - WAL_HEADER_SIZE) / size)
      expect(scanner.position.frame).toBeLessThanOrEqual(frame)
    }
  })

  it('stops at every cut of a log, at the last commit before it', () => {
    const wal = realWal('CREATE TABLE t (a); INSERT INTO t VALUES (1)', 512)
    for (let length = WAL_HEADER_SIZE; length < wal.length; length += 7) {
      const whole = Math.floor((length - WAL_HEADER_SIZE) / walFrameSize(512))
      expect(scanAll(wal.subarray(0, length)).position.frame).toBeLessThanOrEqual(whole)
    }
  })

  it('gives the same in chunks of any number of frames, resumed at any commit', () => {
    const wal = realWal(THREE_COMMITS.repeat(1), 1024)
    const header = decodeWalHeader(wal)!
    const size = walFrameSize(1024)
    const all = scanAll(wal)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 30 }), (steps) => {
        let scanner = new WalScanner(header, startOfRun(header), 0)
        const pages = new Map<number, number>()
        let at = 0
        for (const frames of steps) {
          const from = WAL_HEADER_SIZE + at * size
          if (from >= wal.length) break
          scanner.scan(wal.subarray(from, Math.min(wal.length, from + frames * size)))
          at = scanner.frame
          if (scanner.position.frame === at) {
            for (const [pgno, frame] of scanner.pages) pages.set(pgno, frame)
            scanner = new WalScanner(header, scanner.position, scanner.commit)
          }
        }
        expect(at).toBe(all.frame)
        expect([...pages].sort()).toEqual([...all.pages].sort())
      }),
    )
  })

  it('drops pages beyond a shrunken database and asks for all pages of a later growth', () => {
    const header = decodeWalHeader(encodeWalHeader(runOf(1, 7)))!
    const wal = logOf(header, [
      [5, 0],
      [6, 6],
      [1, 4],
      [5, 5],
    ])
    const scanner = new WalScanner(header, startOfRun(header), 6)
    scanner.scan(wal)
    expect([...scanner.pages.keys()].sort()).toEqual([1, 5])
    expect(scanner.smallestCommit).toBe(4)
    expect(missingGrowth(scanner, 0)).toEqual([])
    const hole = new WalScanner(header, startOfRun(header), 3)
    hole.scan(logOf(header, [[6, 6]]))
    expect(missingGrowth(hole, 0)).toEqual([4, 5])
    expect(missingGrowth(hole, 5)).toEqual([4])
  })
})

describe('WAL header', () => {
  it('is none while it is short, torn or of another kind', () => {
    const wal = realWal('CREATE TABLE t (a)')
    for (let length = 0; length < WAL_HEADER_SIZE; length++) {
      expect(decodeWalHeader(wal.subarray(0, length))).toBeUndefined()
    }
    for (let at = 0; at < WAL_HEADER_SIZE; at++) {
      const damaged = wal.slice(0, WAL_HEADER_SIZE)
      damaged[at]! ^= 1
      // A flipped last bit of the magic number states the other byte order, which the checksum refutes.
      expect(decodeWalHeader(damaged), `byte ${at}`).toBeUndefined()
    }
  })

  it('of another version is refused', () => {
    const bytes = new Uint8Array(WAL_HEADER_SIZE)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, 0x377f0682)
    view.setUint32(4, 3007001)
    view.setUint32(8, 4096)
    const sum = { s1: 0, s2: 0 }
    extendWalChecksum(sum, bytes, 0, 24, false)
    view.setUint32(24, sum.s1)
    view.setUint32(28, sum.s2)
    expect(() => decodeWalHeader(bytes)).toThrow(/version 3007001/)
  })

  it('knows the next run and later ones, across the wrap of salt-1', () => {
    const last = decodeWalHeader(encodeWalHeader(runOf(0xffffffff, 9)))!
    const next = decodeWalHeader(encodeWalHeader(runOf(0, 10)))!
    const later = decodeWalHeader(encodeWalHeader(runOf(2, 12)))!
    expect(isNextRun(last, next)).toBe(true)
    expect(isNextRun(last, later)).toBe(false)
    expect(isLaterRun(last, later)).toBe(true)
    expect(isLaterRun(later, last)).toBe(false)
    expect(isLaterRun(last, { ...later, sequence: 11 })).toBe(false)
  })
})

function runOf(salt1: number, sequence: number): Omit<WalHeader, 'checksum1' | 'checksum2'> {
  return { bigEndian: false, pageSize: 512, sequence, salt1, salt2: 77 }
}

/** Frames with valid checksums: [page number, database size after commit]. */
function logOf(header: WalHeader, frames: readonly (readonly [number, number])[]): Uint8Array {
  const size = walFrameSize(header.pageSize)
  const bytes = new Uint8Array(frames.length * size)
  const view = new DataView(bytes.buffer)
  const sum = { s1: header.checksum1, s2: header.checksum2 }
  for (const [i, [pgno, commit]] of frames.entries()) {
    const at = i * size
    view.setUint32(at, pgno)
    view.setUint32(at + 4, commit)
    view.setUint32(at + 8, header.salt1)
    view.setUint32(at + 12, header.salt2)
    extendWalChecksum(sum, bytes, at, at + 8, header.bigEndian)
    extendWalChecksum(sum, bytes, at + 24, at + size, header.bigEndian)
    view.setUint32(at + 16, sum.s1)
    view.setUint32(at + 20, sum.s2)
  }
  expect(walFrameOffset(frames.length, header.pageSize)).toBe(WAL_HEADER_SIZE + bytes.length)
  return bytes
}
