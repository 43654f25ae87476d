import { EMPTY_DATABASE_CHECKSUM, pageChecksum, toggleChecksum } from './checksum.ts'
import { type DatabaseChecksums, encodeChecksumNote } from './checksum-note.ts'
import { ChunkWriter } from './chunk-writer.ts'
import { Crc64 } from './codec/crc64.ts'
import { encodeFrame, frameBound } from './codec/lz4-frame.ts'
import { encodePageBlock, pageBlockBound } from './codec/page-block.ts'
import type { EncodedRange } from './encoded-range.ts'
import { LtxError } from './ltx-error.ts'
import {
  encodeLtxHeader,
  FLAG_NO_CHECKSUM,
  hasChecksumOfPages,
  type LtxHeader,
} from './ltx-header.ts'
import { encodeTrailer, validatePostApply } from './ltx-trailer.ts'
import { END_OF_PAGES, type LtxEncoding, type LtxPage, PAGE_HEADER_SIZE } from './page-frame.ts'
import { PageIndexBuilder } from './page-index.ts'
import { PageOrder } from './page-order.ts'

export interface LtxEncoderOptions {
  /** Default `block`. */
  readonly encoding?: LtxEncoding | undefined
}

/**
 * Encodes one LTX file: pages in, chunks out. An error leaves the file unusable; begin a new one.
 */
export class LtxEncoder {
  readonly #header: LtxHeader
  readonly #encoding: LtxEncoding
  readonly #order: PageOrder
  readonly #index = new PageIndexBuilder()
  readonly #crc = new Crc64()
  readonly #output = new ChunkWriter()
  readonly #frameBound: number
  #databaseChecksum: bigint | undefined
  #open = true

  /**
   * Throws `InvalidHeader`, and `Unencodable` for a commit of 0 with `FLAG_NO_CHECKSUM`: LTX
   * requires a checksum for an empty database, so wait until it has a page.
   */
  constructor(header: LtxHeader, options: LtxEncoderOptions = {}) {
    if (header.commit === 0 && header.flags === FLAG_NO_CHECKSUM) {
      throw new LtxError('Unencodable', 'An empty database cannot be encoded without checksums.')
    }
    const bytes = encodeLtxHeader(header)
    this.#header = header
    this.#encoding = options.encoding ?? 'block'
    this.#order = new PageOrder(header)
    this.#frameBound =
      this.#encoding === 'block'
        ? pageBlockBound(header.pageSize)
        : PAGE_HEADER_SIZE + frameBound(header.pageSize)
    if (hasChecksumOfPages(header)) {
      this.#databaseChecksum = EMPTY_DATABASE_CHECKSUM
    }
    this.#append(bytes)
  }

  /** Size of the file so far, in bytes, whether drained or not. */
  get bytesWritten(): number {
    return this.#output.bytesWritten
  }

  /**
   * Adds a page; `data` is not kept. Throws `InvalidPage`, `OutOfOrder` or `MissingPage` for a page
   * that must not come next, `Closed` after `finish`.
   */
  encodePage(pgno: number, data: Uint8Array): void {
    this.#assertOpen()
    if (data.length !== this.#header.pageSize) {
      throw new LtxError(
        'InvalidPage',
        `Page ${pgno} has ${data.length} bytes instead of ${this.#header.pageSize}.`,
      )
    }
    this.#order.accept(pgno)
    const offset = this.#output.bytesWritten
    const target = this.#output.reserve(this.#frameBound)
    const start = this.#output.position
    const end =
      this.#encoding === 'block'
        ? encodePageBlock(pgno, data, target, start, this.#crc)
        : this.#encodePageFrame(pgno, data, target, start)
    this.#output.advanceTo(end)
    this.#index.add(pgno, offset, end - start)
    if (this.#databaseChecksum !== undefined) {
      this.#databaseChecksum = toggleChecksum(this.#databaseChecksum, pageChecksum(pgno, data))
    }
  }

  /**
   * Adds pages that were encoded elsewhere, in BLOCK encoding; `range` is kept. Throws as
   * `encodePage`, and `Unencodable` for a header without `FLAG_NO_CHECKSUM`: a range does not have
   * LTX's checksums of its pages.
   */
  appendRange({ first, sizes, frames, crc, crcBytes }: EncodedRange): void {
    this.#assertOpen()
    if (this.#header.flags !== FLAG_NO_CHECKSUM) {
      throw new LtxError('Unencodable', 'A file with checksums of LTX is encoded page by page.')
    }
    let offset = this.#output.bytesWritten
    for (const [i, size] of sizes.entries()) {
      this.#order.accept(first + i)
      this.#index.add(first + i, offset, size)
      offset += size
    }
    this.#crc.append(crc, crcBytes)
    this.#output.appendChunk(frames)
  }

  /**
   * Ends the file. `postApplyChecksum` is required exactly without `FLAG_NO_CHECKSUM`; for snapshots
   * it must match the pages. Throws `InvalidTrailer`, `ChecksumMismatch`, or `MissingPage` for an
   * incomplete snapshot.
   *
   * @param checksums of the whole database, where other readers of LTX ignore them
   */
  finish(postApplyChecksum = 0n, checksums?: DatabaseChecksums): void {
    this.#assertOpen()
    this.#order.complete()
    validatePostApply(this.#header, postApplyChecksum, this.#databaseChecksum)
    this.#open = false
    this.#append(END_OF_PAGES)
    this.#append(this.#index.finish(checksums && encodeChecksumNote(checksums)))
    this.#output.append(encodeTrailer(postApplyChecksum, this.#crc))
    this.#output.flush()
  }

  /**
   * The output completed since the last call, in chunks of up to 256 KiB that the caller owns; the
   * rest comes after `finish`.
   */
  drain(): Uint8Array[] {
    return this.#output.drain()
  }

  #encodePageFrame(pgno: number, data: Uint8Array, target: Uint8Array, start: number): number {
    const prefix = target.subarray(start, start + PAGE_HEADER_SIZE)
    const view = new DataView(target.buffer, target.byteOffset + start)
    view.setUint32(0, pgno)
    view.setUint16(4, 0)
    this.#crc.update(prefix).update(data)
    return encodeFrame(data, target, start + PAGE_HEADER_SIZE)
  }

  #append(bytes: Uint8Array): void {
    this.#crc.update(bytes)
    this.#output.append(bytes)
  }

  #assertOpen(): void {
    if (!this.#open) throw new LtxError('Closed', 'The LTX file is already finished.')
  }
}

/** Encodes a whole file into one buffer. For files that fit into memory twice. */
export function encodeLtx(
  header: LtxHeader,
  pages: Iterable<LtxPage>,
  options: LtxEncoderOptions & {
    readonly postApplyChecksum?: bigint | undefined
    readonly checksums?: DatabaseChecksums | undefined
  } = {},
): Uint8Array {
  const encoder = new LtxEncoder(header, options)
  for (const { pgno, data } of pages) encoder.encodePage(pgno, data)
  encoder.finish(options.postApplyChecksum, options.checksums)
  const bytes = new Uint8Array(encoder.bytesWritten)
  let at = 0
  for (const chunk of encoder.drain()) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
