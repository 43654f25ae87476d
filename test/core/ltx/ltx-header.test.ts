import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeLtxHeader,
  encodeLtxHeader,
  isSnapshot,
  type LtxHeader,
} from '../../../src/core/ltx/ltx-header.ts'
import { type TXID, txid } from '../../../src/core/ltx/txid.ts'
import { errorCode, hex, makeHeader, PAGE_SIZES } from './ltx-samples.ts'

const u32 = fc.nat(0xffffffff)
const safe = fc.maxSafeNat()

const validHeader: fc.Arbitrary<LtxHeader> = fc
  .record({
    flags: fc.constantFrom(0, 2),
    pageSize: fc.constantFrom(...PAGE_SIZES),
    commit: fc.nat(0xfffffffe),
    range: fc.tuple(
      fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    ),
    timestamp: fc.maxSafeInteger(),
    preApplyChecksum: fc.bigInt({ min: 2n ** 63n, max: 2n ** 64n - 1n }),
    wal: fc.option(
      fc.record({ walOffset: fc.integer({ min: 1 }), walSize: safe, walSalt1: u32, walSalt2: u32 }),
    ),
    nodeId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    walMark: fc.option(fc.record({ sequence: u32, checksum1: u32, checksum2: u32, bootId: u32 })),
  })
  .map(({ range, wal, walMark, preApplyChecksum, ...rest }) => {
    const [minTxid, maxTxid] = range.sort((a, b) => (a < b ? -1 : 1)) as [TXID, TXID]
    return {
      ...makeHeader(),
      ...rest,
      ...wal,
      minTxid,
      maxTxid,
      preApplyChecksum: rest.flags === 2 || minTxid === 1n ? 0n : preApplyChecksum,
      ...(walMark === null ? {} : { walMark }),
    }
  })

describe('LTX header', () => {
  it('has the layout of the format', () => {
    const header = makeHeader({
      flags: 0,
      pageSize: 65536,
      commit: 0x01020304,
      minTxid: txid(0x1112131415161718n),
      maxTxid: txid(0x2122232425262728n),
      timestamp: -2,
      preApplyChecksum: 0xb132333435363738n,
      walOffset: 0x142434445464,
      walSize: 24 + 65536,
      walSalt1: 0x61626364,
      walSalt2: 0x71727374,
      nodeId: 0x8182838485868788n,
      walMark: {
        sequence: 0x91929394,
        checksum1: 0xa1a2a3a4,
        checksum2: 0xb1b2b3b4,
        bootId: 0xc1c2c3c4,
      },
    })
    const bytes = encodeLtxHeader(header)
    expect(bytes).toEqual(
      hex(
        '4c545831 00000000 00010000 01020304 1112131415161718 2122232425262728 fffffffffffffffe' +
          'b132333435363738 0000142434445464 0000000000010018 61626364 71727374 8182838485868788' +
          '57534d31 91929394 a1a2a3a4 b1b2b3b4 c1c2c3c4',
      ),
    )
    expect(decodeLtxHeader(bytes)).toEqual(header)
  })

  it('keeps every field', () => {
    fc.assert(
      fc.property(validHeader, (header) => {
        expect(decodeLtxHeader(encodeLtxHeader(header))).toEqual(header)
      }),
    )
  })

  it.each<[string, Partial<LtxHeader>]>([
    ['the LZ4 flag of version 1', { flags: 1 }],
    ['an unknown flag', { flags: 0x80000002 }],
    ['page size 0', { pageSize: 0 }],
    ['page size 256', { pageSize: 256 }],
    ['page size 131072', { pageSize: 131072 }],
    ['page size 1000', { pageSize: 1000 }],
    ['a commit above what SQLite allows', { commit: 0xffffffff }],
    ['a fractional commit', { commit: 1.5 }],
    ['MinTXID 0', { minTxid: 0n as TXID, maxTxid: txid(1) }],
    ['MaxTXID 0', { maxTxid: 0n as TXID }],
    ['TXIDs out of order', { minTxid: txid(3), maxTxid: txid(2) }],
    ['a TXID above 64 bits', { maxTxid: (2n ** 64n) as TXID }],
    ['a negative WAL offset', { walOffset: -1 }],
    ['a negative WAL size', { walOffset: 32, walSize: -1 }],
    ['salt 1 without WAL offset', { walSalt1: 1 }],
    ['salt 2 without WAL offset', { walSalt2: 1 }],
    ['a WAL size without WAL offset', { walSize: 1 }],
    ['a salt above 32 bits', { walOffset: 32, walSalt1: 2 ** 32 }],
    [
      'a mark above 32 bits',
      { walMark: { sequence: 2 ** 32, checksum1: 0, checksum2: 0, bootId: 0 } },
    ],
    ['a fractional timestamp', { timestamp: 1.5 }],
    ['a negative node id', { nodeId: -1n }],
    ['a pre-apply checksum on a snapshot', { flags: 0, preApplyChecksum: 1n << 63n }],
    ['a pre-apply checksum without checksums', { minTxid: txid(2), preApplyChecksum: 1n << 63n }],
    ['no pre-apply checksum where one is needed', { flags: 0, minTxid: txid(2) }],
    [
      'a pre-apply checksum without its top bit',
      { flags: 0, minTxid: txid(2), preApplyChecksum: 1n },
    ],
  ])('does not encode %s', (_, changes) => {
    expect(errorCode(() => encodeLtxHeader(makeHeader(changes)))).toBe('InvalidHeader')
  })

  it.each<[string, number, string]>([
    ['flags', 4, '00000001'],
    ['page size', 8, '00000001'],
    ['commit', 12, 'ffffffff'],
    ['MinTXID', 16, '0000000000000000'],
    ['MaxTXID', 24, '0000000000000000'],
    ['timestamp', 32, '7fffffffffffffff'],
    ['pre-apply checksum', 40, '8000000000000000'],
    ['negative WAL offset', 48, 'ffffffffffffffff'],
    ['huge WAL offset', 48, '0020000000000000'],
    ['WAL size', 56, '0000000000000001'],
    ['salt', 64, '00000001'],
  ])('does not decode an invalid %s', (_, offset, value) => {
    const bytes = encodeLtxHeader(makeHeader())
    bytes.set(hex(value), offset)
    expect(errorCode(() => decodeLtxHeader(bytes))).toBe('InvalidHeader')
  })

  it('rejects other files and short ones', () => {
    const bytes = encodeLtxHeader(makeHeader())
    expect(errorCode(() => decodeLtxHeader(bytes.subarray(0, 99)))).toBe('Truncated')
    bytes[3] = 0x32
    expect(errorCode(() => decodeLtxHeader(bytes))).toBe('BadMagic')
  })

  it('ignores reserved bytes that hold no WAL mark', () => {
    for (const reserved of ['57534d32', '57534d', '01', '00000000 00000001']) {
      const bytes = encodeLtxHeader(makeHeader())
      bytes.set(hex(reserved), 80)
      expect(decodeLtxHeader(bytes)).toEqual(makeHeader())
    }
  })

  it('calls a file that starts at TXID 1 a snapshot', () => {
    expect(isSnapshot(makeHeader({ maxTxid: txid(9) }))).toBe(true)
    expect(isSnapshot(makeHeader({ minTxid: txid(2) }))).toBe(false)
  })
})
