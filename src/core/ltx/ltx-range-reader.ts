import { EMPTY_DATABASE_CHECKSUM, toggleChecksum } from './checksum.ts'
import type { DatabaseChecksums } from './checksum-note.ts'
import { Crc64 } from './codec/crc64.ts'
import type { RangeSums } from './frame-range.ts'
import { hasChecksumOfPages, type LtxHeader } from './ltx-header.ts'
import { LtxScanner } from './ltx-scanner.ts'
import { decodeTrailer, type LtxTrailer, validatePostApply } from './ltx-trailer.ts'

/** Receives what belongs to ranges. Bytes other than those of the chunk itself are valid only during the call. */
export interface FrameReceiver {
  header(header: LtxHeader): void
  /** @param bytes have the page frame from `start` to `end` */
  frame(pgno: number, bytes: Uint8Array, start: number, end: number): void
}

/**
 * Reads one LTX file from chunks of any size without decoding its pages: the receiver has that done by
 * `decodeRange`, by whichever thread and in any order. Nothing may depend on the pages until `verify` has returned.
 */
export class LtxRangeReader {
  readonly #scanner: LtxScanner
  readonly #crc = new Crc64()
  /** Of what follows the page frames. */
  readonly #rest = new Crc64()
  #restBytes = 0
  #trailer: Uint8Array | undefined

  constructor(receiver: FrameReceiver) {
    const parts = {
      header: (header: LtxHeader, bytes: Uint8Array) => {
        this.#crc.update(bytes)
        receiver.header(header)
      },
      frame: receiver.frame.bind(receiver),
      index: (bytes: Uint8Array) => {
        this.#rest.update(bytes)
        this.#restBytes += bytes.length
      },
      trailer: (bytes: Uint8Array) => {
        // A `Buffer` would share its memory with a slice.
        this.#trailer = new Uint8Array(bytes)
      },
    }
    this.#scanner = new LtxScanner(parts, false)
  }

  /** Takes the next bytes of the file. @throws LtxError at the first byte that breaks the format */
  write(chunk: Uint8Array): void {
    this.#scanner.write(chunk)
  }

  /**
   * Declares the file complete, and returns the checksums of the whole database that it carries.
   *
   * @throws LtxError `Truncated`, `Closed`
   */
  end(): DatabaseChecksums | undefined {
    this.#scanner.end()
    return this.#scanner.databaseChecksums
  }

  /**
   * Compares a complete file with its checksums.
   *
   * @param ranges of all page frames, in their order
   * @throws LtxError `ChecksumMismatch`, `InvalidTrailer`
   */
  verify(ranges: Iterable<RangeSums>): LtxTrailer {
    const header = this.#scanner.header!
    let checksum = EMPTY_DATABASE_CHECKSUM
    for (const range of ranges) {
      this.#crc.append(range.crc, range.crcBytes)
      checksum = toggleChecksum(checksum, range.checksum)
    }
    this.#crc.append(this.#rest.digest(), this.#restBytes)
    const trailer = decodeTrailer(this.#trailer!, this.#crc)
    const computed = hasChecksumOfPages(header) ? checksum : undefined
    validatePostApply(header, trailer.postApplyChecksum, computed)
    return trailer
  }
}
