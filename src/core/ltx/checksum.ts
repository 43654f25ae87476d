import { pageCrc, pageXxh64 } from './codec/page-block.ts'

export { Crc64 } from './codec/crc64.ts'

/** Bit 63, set in every stored checksum, so that zero can mean "none". */
export const CHECKSUM_FLAG = 1n << 63n

/** Checksum of an empty database, of either kind; the start of the rolling checksum. */
export const EMPTY_DATABASE_CHECKSUM = CHECKSUM_FLAG

/**
 * LTX's checksum of one page: CRC-64 of the page number (u32 big-endian) and the page, with
 * `CHECKSUM_FLAG`. For LTX's own fields only: their XOR does not see the same change in two pages.
 */
export function pageChecksum(pgno: number, data: Uint8Array): bigint {
  return CHECKSUM_FLAG | pageCrc(pgno, data)
}

/**
 * What one page adds to the checksum of the whole database in a note: XXH64 of the page with its number
 * as the seed, and `CHECKSUM_FLAG`. Proof that two pages are the same must not rest on a CRC. It is linear:
 * five certain bits changed in a page leave it as it was, and the same bits changed in two pages, as one
 * UPDATE may do, leave a XOR of CRCs as it was (decision 12).
 *
 * @param data a whole page: a multiple of 32 bytes
 */
export function pageHash(pgno: number, data: Uint8Array): bigint {
  return CHECKSUM_FLAG | pageXxh64(pgno, data)
}

/**
 * Adds a page to a database checksum, or removes it: the checksum of a database is the XOR of its
 * page checksums of one kind without the lock page, so both are the same operation. To replace a page, toggle
 * the old checksum and then the new one.
 */
export function toggleChecksum(database: bigint, page: bigint): bigint {
  return CHECKSUM_FLAG | (database ^ page)
}

/** Is this a stored checksum, as opposed to zero or a value without `CHECKSUM_FLAG`? */
export function isChecksum(value: bigint): boolean {
  return value >> 63n === 1n
}
