import { EMPTY_DATABASE_CHECKSUM, pageChecksum, toggleChecksum } from './checksum.ts'
import type { DatabaseChecksums } from './checksum-note.ts'
import { Crc64 } from './codec/crc64.ts'
import { decodePageFrame } from './codec/page-block.ts'
import { hasChecksumOfPages, type LtxHeader } from './ltx-header.ts'
import { LtxScanner } from './ltx-scanner.ts'
import { decodeTrailer, type LtxTrailer, validatePostApply } from './ltx-trailer.ts'
import type { LtxPage } from './page-frame.ts'
import { PageSlab } from './page-slab.ts'

export interface LtxDecoderOptions {
  /**
   * Accept what the reference decoder accepts: pages in any order, twice, missing, beyond the
   * commit or on the lock page, an index that disagrees with the frames, and any post-apply
   * checksum. For inspecting damaged files, never for a restore. Bounds and the file checksum are
   * still checked. Default false.
   */
  readonly lenient?: boolean | undefined
  /** Let the pages that `write` returns be valid only until it is called again. Default false. */
  readonly reusePages?: boolean | undefined
}

/**
 * Decodes one LTX file from chunks of any size. Pages are handed out as they complete, before the
 * file checksum is known: nothing may depend on them until `end` has returned.
 */
export class LtxDecoder {
  readonly #lenient: boolean
  readonly #reusePages: boolean
  readonly #crc = new Crc64()
  readonly #scanner: LtxScanner
  #slab: PageSlab | undefined
  /** Of the running `write`. */
  #pages: LtxPage[] = []
  #trailer: LtxTrailer | undefined
  #databaseChecksum: bigint | undefined

  constructor(options: LtxDecoderOptions = {}) {
    this.#lenient = options.lenient ?? false
    this.#reusePages = options.reusePages ?? false
    const parts = {
      header: (header: LtxHeader, bytes: Uint8Array) => this.#begin(header, bytes),
      frame: (pgno: number, bytes: Uint8Array, start: number, end: number) =>
        this.#addPage(pgno, bytes.subarray(start, end)),
      index: (bytes: Uint8Array) => this.#crc.update(bytes),
      trailer: (bytes: Uint8Array) => this.#finish(bytes),
    }
    this.#scanner = new LtxScanner(parts, this.#lenient)
  }

  /** Known after the first 100 bytes. */
  get header(): LtxHeader | undefined {
    return this.#scanner.header
  }

  /** Checksums of the whole database that the file carries; valid once `end` has returned. */
  get databaseChecksums(): DatabaseChecksums | undefined {
    return this.#scanner.databaseChecksums
  }

  /**
   * Takes the next bytes of the file, which are not kept, and returns the pages that they complete.
   * Page data is fresh memory: it stays valid and is never written to again, except with `reusePages`.
   * A compressed page can be 255 times its payload, so small chunks bound the memory that one call returns.
   * Throws an `LtxError` at the first byte that breaks the format.
   */
  write(chunk: Uint8Array): LtxPage[] {
    const pages: LtxPage[] = []
    this.#pages = pages
    if (this.#reusePages) this.#slab?.recycle()
    this.#scanner.write(chunk)
    return pages
  }

  /**
   * Declares the file complete. Only when this returns are the pages proven to be those that were
   * encoded. Throws `Truncated` if bytes are missing, `Closed` after an earlier error.
   */
  end(): LtxTrailer {
    this.#scanner.end()
    return this.#trailer!
  }

  #begin(header: LtxHeader, bytes: Uint8Array): void {
    this.#slab = new PageSlab(header.pageSize)
    if (hasChecksumOfPages(header)) this.#databaseChecksum = EMPTY_DATABASE_CHECKSUM
    this.#crc.update(bytes)
  }

  #addPage(pgno: number, frame: Uint8Array): void {
    const data = this.#slab!.take()
    decodePageFrame(frame, data, this.#crc)
    if (this.#databaseChecksum !== undefined) {
      this.#databaseChecksum = toggleChecksum(this.#databaseChecksum, pageChecksum(pgno, data))
    }
    this.#pages.push({ pgno, data })
  }

  #finish(bytes: Uint8Array): void {
    const trailer = decodeTrailer(bytes, this.#crc)
    if (!this.#lenient) {
      validatePostApply(this.header!, trailer.postApplyChecksum, this.#databaseChecksum)
    }
    this.#trailer = trailer
  }
}

/** Decodes a whole file. Everything is verified before it returns. */
export function decodeLtx(
  bytes: Uint8Array,
  options?: LtxDecoderOptions,
): { header: LtxHeader; pages: LtxPage[]; trailer: LtxTrailer } {
  const decoder = new LtxDecoder(options)
  const pages = decoder.write(bytes)
  const trailer = decoder.end()
  return { header: decoder.header!, pages, trailer }
}
