import type { DatabaseChecksums } from './checksum-note.ts'
import { compressBound } from './codec/lz4-block.ts'
import { requiredFrameBytes } from './codec/lz4-frame.ts'
import { ExactIndexCheck, type IndexCheck, LenientIndexCheck } from './index-check.ts'
import { LtxError } from './ltx-error.ts'
import { decodeLtxHeader, LTX_HEADER_SIZE, type LtxHeader } from './ltx-header.ts'
import { LTX_TRAILER_SIZE } from './ltx-trailer.ts'
import { invalidPage, PAGE_FLAG_BLOCK, PAGE_HEADER_SIZE, PAGE_LENGTH_SIZE } from './page-frame.ts'
import { PageIndexBuilder } from './page-index.ts'
import { PageOrder } from './page-order.ts'

/** Receives the parts of a file in their order. Bytes are valid only during the call. */
export interface LtxParts {
  header(header: LtxHeader, bytes: Uint8Array): void
  /**
   * A page frame whose number is in order. Its payload has not been looked at.
   *
   * @param bytes have the frame from `start` to `end`
   */
  frame(pgno: number, bytes: Uint8Array, start: number, end: number): void
  /** The next bytes of what lies between the page frames and the trailer. */
  index(bytes: Uint8Array): void
  trailer(bytes: Uint8Array): void
}

type Part = 'header' | 'pages' | 'index' | 'trailer' | 'end' | 'failed'

/**
 * Takes one LTX file apart from chunks of any size, and checks all that needs no page: the header, the
 * order of the pages, the page index. Pages and the checksum of the file are left to the receiver.
 */
export class LtxScanner {
  readonly #parts: LtxParts
  readonly #lenient: boolean
  readonly #index = new PageIndexBuilder()
  #part: Part = 'header'
  #header: LtxHeader | undefined
  #order: PageOrder | undefined
  #indexCheck: IndexCheck = new LenientIndexCheck()
  #exactIndex: ExactIndexCheck | undefined
  #position = 0
  // The beginning of an item that a chunk boundary cut: at most one page frame.
  #carry = new Uint8Array(LTX_HEADER_SIZE)
  #carried = 0

  /** @param lenient as in `LtxDecoderOptions` */
  constructor(parts: LtxParts, lenient: boolean) {
    this.#parts = parts
    this.#lenient = lenient
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
   * Takes the next bytes of the file, which are not kept.
   *
   * @throws LtxError at the first byte that breaks the format; what the receiver throws
   */
  write(chunk: Uint8Array): void {
    if (this.#part === 'failed') throw closed()
    try {
      let at = 0
      while (this.#carried > 0 && at < chunk.length) at = this.#completeCarry(chunk, at)
      const view = viewOf(chunk)
      while (at < chunk.length) {
        const needed = this.#step(chunk, view, at)
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
  }

  /** Declares the file complete. Throws `Truncated` if bytes are missing, `Closed` after an earlier error. */
  end(): void {
    if (this.#part === 'failed') throw closed()
    if (this.#part === 'end') return
    throw new LtxError(
      'Truncated',
      `The LTX file ends in its ${this.#part}, after ${this.#position + this.#carried} bytes.`,
    )
  }

  /** Adds no more to the carried item than it needs, so that a step consumes all of it. */
  #completeCarry(chunk: Uint8Array, start: number): number {
    let needed = this.#stepInCarry()
    const end = Math.min(chunk.length, start + needed - this.#carried)
    this.#carryOver(chunk.subarray(start, end), needed)
    needed = this.#stepInCarry()
    if (needed <= this.#carried) this.#carried = 0
    return end
  }

  #stepInCarry(): number {
    const carried = this.#carry.subarray(0, this.#carried)
    return this.#step(carried, viewOf(carried), 0)
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
  #step(bytes: Uint8Array, view: DataView, at: number): number {
    let size: number
    switch (this.#part) {
      case 'header':
        size = this.#headerStep(bytes.subarray(at))
        break
      case 'pages':
        size = this.#pageStep(bytes, view, at)
        break
      case 'index':
        size = this.#indexCheck.consume(bytes, at) - at
        this.#parts.index(bytes.subarray(at, at + size))
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
    this.#parts.header(header, bytes.subarray(0, LTX_HEADER_SIZE))
    this.#part = 'pages'
    return LTX_HEADER_SIZE
  }

  #pageStep(bytes: Uint8Array, view: DataView, at: number): number {
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
    this.#parts.frame(pgno, bytes, at, at + size)
    if (!this.#lenient) this.#index.add(pgno, this.#position, size)
    return size
  }

  #endOfPages(bytes: Uint8Array): number {
    if (!this.#lenient) {
      this.#order!.complete()
      this.#exactIndex = new ExactIndexCheck(this.#index.finish())
      this.#indexCheck = this.#exactIndex
    }
    this.#parts.index(bytes.subarray(0, PAGE_HEADER_SIZE))
    this.#part = 'index'
    return PAGE_HEADER_SIZE
  }

  #trailerStep(bytes: Uint8Array): number {
    if (bytes.length < LTX_TRAILER_SIZE) return LTX_TRAILER_SIZE
    this.#parts.trailer(bytes.subarray(0, LTX_TRAILER_SIZE))
    this.#part = 'end'
    return LTX_TRAILER_SIZE
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function closed(): LtxError {
  return new LtxError('Closed', 'The LTX file was already found to be invalid.')
}
