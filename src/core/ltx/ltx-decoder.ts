import { EMPTY_DATABASE_CHECKSUM, pageChecksum, toggleChecksum } from './checksum.ts'
import type { DatabaseChecksums } from './checksum-note.ts'
import { Crc64 } from './codec/crc64.ts'
import { compressBound } from './codec/lz4-block.ts'
import { decodeFrame, requiredFrameBytes } from './codec/lz4-frame.ts'
import { decodePageBlock } from './codec/page-block.ts'
import { ExactIndexCheck, type IndexCheck, LenientIndexCheck } from './index-check.ts'
import { LtxError } from './ltx-error.ts'
import {
  decodeLtxHeader,
  FLAG_NO_CHECKSUM,
  isSnapshot,
  LTX_HEADER_SIZE,
  type LtxHeader,
} from './ltx-header.ts'
import {
  decodeTrailer,
  LTX_TRAILER_SIZE,
  type LtxTrailer,
  validatePostApply,
} from './ltx-trailer.ts'
import { type LtxPage, PAGE_FLAG_BLOCK, PAGE_HEADER_SIZE, PAGE_LENGTH_SIZE } from './page-frame.ts'
import { PageIndexBuilder } from './page-index.ts'
import { PageOrder } from './page-order.ts'
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

type Part = 'header' | 'pages' | 'index' | 'trailer' | 'end' | 'failed'

/**
 * Decodes one LTX file from chunks of any size. Pages are handed out as they complete, before the
 * file checksum is known: nothing may depend on them until `end` has returned.
 */
export class LtxDecoder {
  readonly #lenient: boolean
  readonly #reusePages: boolean
  readonly #crc = new Crc64()
  readonly #index = new PageIndexBuilder()
  #part: Part = 'header'
  #header: LtxHeader | undefined
  #order: PageOrder | undefined
  #slab: PageSlab | undefined
  #indexCheck: IndexCheck = new LenientIndexCheck()
  #exactIndex: ExactIndexCheck | undefined
  #trailer: LtxTrailer | undefined
  #databaseChecksum: bigint | undefined
  #position = 0
  // The beginning of an item that a chunk boundary cut: at most one page frame.
  #carry = new Uint8Array(LTX_HEADER_SIZE)
  #carried = 0

  constructor(options: LtxDecoderOptions = {}) {
    this.#lenient = options.lenient ?? false
    this.#reusePages = options.reusePages ?? false
  }

  /** Known after the first 100 bytes. */
  get header(): LtxHeader | undefined {
    return this.#header
  }

  /** Checksums of the whole database that the file carries; valid once `end` has returned. */
  get databaseChecksums(): DatabaseChecksums | undefined {
    return this.#exactIndex?.checksums
  }

  /**
   * Takes the next bytes of the file, which are not kept, and returns the pages that they complete.
   * Page data is fresh memory: it stays valid and is never written to again, except with `reusePages`.
   * A compressed page can be 255 times its payload, so small chunks bound the memory that one call returns.
   * Throws an `LtxError` at the first byte that breaks the format.
   */
  write(chunk: Uint8Array): LtxPage[] {
    if (this.#part === 'failed') throw closed()
    const pages: LtxPage[] = []
    if (this.#reusePages) this.#slab?.recycle()
    try {
      let at = 0
      while (this.#carried > 0 && at < chunk.length) at = this.#completeCarry(chunk, at, pages)
      const view = viewOf(chunk)
      while (at < chunk.length) {
        const needed = this.#step(chunk, view, at, pages)
        if (needed > chunk.length - at) {
          this.#carryOver(chunk.subarray(at), needed)
          break
        }
        at += needed
      }
    } catch (error) {
      this.#part = 'failed'
      throw error
    }
    return pages
  }

  /**
   * Declares the file complete. Only when this returns are the pages proven to be those that were
   * encoded. Throws `Truncated` if bytes are missing, `Closed` after an earlier error.
   */
  end(): LtxTrailer {
    if (this.#part === 'failed') throw closed()
    if (this.#trailer === undefined) {
      throw new LtxError(
        'Truncated',
        `The LTX file ends in its ${this.#part}, after ${this.#position + this.#carried} bytes.`,
      )
    }
    return this.#trailer
  }

  /** Adds no more to the carried item than it needs, so that a step consumes all of it. */
  #completeCarry(chunk: Uint8Array, start: number, pages: LtxPage[]): number {
    let needed = this.#stepInCarry(pages)
    const end = Math.min(chunk.length, start + needed - this.#carried)
    this.#carryOver(chunk.subarray(start, end), needed)
    needed = this.#stepInCarry(pages)
    if (needed <= this.#carried) this.#carried = 0
    return end
  }

  #stepInCarry(pages: LtxPage[]): number {
    const carried = this.#carry.subarray(0, this.#carried)
    return this.#step(carried, viewOf(carried), 0, pages)
  }

  #carryOver(bytes: Uint8Array, capacity: number): void {
    if (this.#carry.length < capacity) {
      const larger = new Uint8Array(capacity)
      larger.set(this.#carry.subarray(0, this.#carried))
      this.#carry = larger
    }
    this.#carry.set(bytes, this.#carried)
    this.#carried += bytes.length
  }

  /**
   * Handles the item that begins at `at` and returns its size, or, without any effect, a number above
   * that of the bytes left: how many bytes it takes to say more.
   */
  #step(bytes: Uint8Array, view: DataView, at: number, pages: LtxPage[]): number {
    let size: number
    switch (this.#part) {
      case 'header':
        size = this.#headerStep(bytes.subarray(at))
        break
      case 'pages':
        size = this.#pageStep(bytes, view, at, pages)
        break
      case 'index':
        size = this.#indexCheck.consume(bytes, at) - at
        this.#crc.update(bytes.subarray(at, at + size))
        if (this.#indexCheck.done) this.#part = 'trailer'
        break
      case 'trailer':
        size = this.#trailerStep(bytes.subarray(at))
        break
      default:
        throw new LtxError(
          'TrailingBytes',
          `The LTX file continues after its ${this.#position} bytes.`,
        )
    }
    if (size <= bytes.length - at) this.#position += size
    return size
  }

  #headerStep(bytes: Uint8Array): number {
    if (bytes.length < LTX_HEADER_SIZE) return LTX_HEADER_SIZE
    const header = decodeLtxHeader(bytes)
    this.#header = header
    this.#order = new PageOrder(header)
    this.#slab = new PageSlab(header.pageSize)
    if (isSnapshot(header) && header.flags !== FLAG_NO_CHECKSUM) {
      this.#databaseChecksum = EMPTY_DATABASE_CHECKSUM
    }
    this.#crc.update(bytes.subarray(0, LTX_HEADER_SIZE))
    this.#part = 'pages'
    return LTX_HEADER_SIZE
  }

  #pageStep(bytes: Uint8Array, view: DataView, at: number, pages: LtxPage[]): number {
    const available = bytes.length - at
    if (available < PAGE_HEADER_SIZE) return PAGE_HEADER_SIZE
    const pgno = view.getUint32(at)
    const flags = view.getUint16(at + 4)
    if (pgno === 0 && flags === 0) return this.#endOfPages(bytes.subarray(at))
    if (pgno === 0 || (flags !== 0 && flags !== PAGE_FLAG_BLOCK)) {
      throw invalidPage(pgno, `has flags 0x${flags.toString(16)}`)
    }
    const isBlock = flags === PAGE_FLAG_BLOCK
    const start = isBlock ? PAGE_HEADER_SIZE + PAGE_LENGTH_SIZE : PAGE_HEADER_SIZE
    if (available < start) return start
    const pageSize = this.#header!.pageSize
    const size =
      start +
      (isBlock
        ? view.getUint32(at + PAGE_HEADER_SIZE)
        : requiredFrameBytes(bytes.subarray(at + start), pageSize))
    if (isBlock && (size === start || size - start > compressBound(pageSize))) {
      throw invalidPage(pgno, `has a payload of ${size - start} bytes`)
    }
    if (available < size) return size
    if (!this.#lenient) this.#order!.accept(pgno)
    const data = this.#slab!.take()
    const frame = bytes.subarray(at, at + size)
    if (isBlock) {
      const length = decodePageBlock(frame, start, data, this.#crc)
      if (length !== pageSize) throw invalidPage(pgno, `decompresses to ${length} bytes`)
    } else {
      decodeFrame(frame.subarray(start), data)
      this.#crc.update(frame.subarray(0, start)).update(data)
    }
    if (!this.#lenient) this.#index.add(pgno, this.#position, size)
    if (this.#databaseChecksum !== undefined) {
      this.#databaseChecksum = toggleChecksum(this.#databaseChecksum, pageChecksum(pgno, data))
    }
    pages.push({ pgno, data })
    return size
  }

  #endOfPages(bytes: Uint8Array): number {
    if (!this.#lenient) {
      this.#order!.complete()
      this.#exactIndex = new ExactIndexCheck(this.#index.finish())
      this.#indexCheck = this.#exactIndex
    }
    this.#crc.update(bytes.subarray(0, PAGE_HEADER_SIZE))
    this.#part = 'index'
    return PAGE_HEADER_SIZE
  }

  #trailerStep(bytes: Uint8Array): number {
    if (bytes.length < LTX_TRAILER_SIZE) return LTX_TRAILER_SIZE
    const trailer = decodeTrailer(bytes, this.#crc)
    if (!this.#lenient) {
      validatePostApply(this.#header!, trailer.postApplyChecksum, this.#databaseChecksum)
    }
    this.#trailer = trailer
    this.#part = 'end'
    return LTX_TRAILER_SIZE
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

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function invalidPage(pgno: number, problem: string): LtxError {
  return new LtxError('InvalidPage', `The frame of page ${pgno} ${problem}.`)
}

function closed(): LtxError {
  return new LtxError('Closed', 'The LTX file was already found to be invalid.')
}
