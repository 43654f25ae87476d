import { LtxError } from './ltx-error.ts'

/** Page header flag of the BLOCK encoding. Without it, the payload is an LZ4 frame. */
export const PAGE_FLAG_BLOCK = 0x1

/** Bytes of page number (u32) and flags (u16). */
export const PAGE_HEADER_SIZE = 6

/** Bytes of the payload length (u32) that follows the page header in BLOCK encoding only. */
export const PAGE_LENGTH_SIZE = 4

/** What ends the pages: a page header of zeros. */
export const END_OF_PAGES: Uint8Array = new Uint8Array(PAGE_HEADER_SIZE)

/**
 * How a page is compressed. `block`: a raw LZ4 block, read by Litestream 0.5.16 and later. `frame`:
 * an LZ4 frame, read by every Litestream 0.5.
 */
export type LtxEncoding = 'block' | 'frame'

/** One page of a database. */
export interface LtxPage {
  /** 1-based. */
  readonly pgno: number
  /** Exactly one page size of bytes. */
  readonly data: Uint8Array
}

/** Is the page frame that begins at `start` in BLOCK encoding? Its flags are known to be valid. */
export function isPageBlock(bytes: Uint8Array, start = 0): boolean {
  return bytes[start + 5] === PAGE_FLAG_BLOCK
}

/** @returns an `InvalidPage` */
export function invalidPage(pgno: number, problem: string): LtxError {
  return new LtxError('InvalidPage', `The frame of page ${pgno} ${problem}.`)
}
