import {
  hasChecksumOfPages,
  LtxError,
  type LtxHeader,
  LtxRangeReader,
  pageFrameBound,
  type RangeSums,
} from '../ltx/index.ts'
import { assertHeaderOf, type LtxFileInfo } from '../replica/replica-client.ts'
import type { DatabaseImage } from './database-image.ts'
import { RANGE_BYTES, type RangePool } from './range-pool.ts'
import { RestoreError } from './restore-error.ts'

/** Bytes taken apart at a time: a range ends where the page frames of the next ones might not fit in. */
const SLICE_BYTES = 64 * 1024
const MAX_PAGE_SIZE = 65536

/**
 * One file of a plan on its way into the database: cut into ranges of page frames, which the pool decodes
 * and writes. The header is checked against the object's name before any page is.
 */
export class FileRanges {
  readonly #file: LtxFileInfo
  readonly #image: DatabaseImage
  readonly #pool: RangePool
  readonly #reader: LtxRangeReader
  readonly #sums: Promise<RangeSums>[] = []
  #header: LtxHeader | undefined
  #memory: Uint8Array<ArrayBuffer> | undefined
  #length = 0
  #needed: number[] = []
  #slice: Uint8Array | undefined
  /** Where page frames lie in the slice, one after the other. */
  #uncopied = { start: 0, end: 0 }
  #failure: { readonly error: unknown } | undefined

  constructor(file: LtxFileInfo, image: DatabaseImage, pool: RangePool) {
    this.#file = file
    this.#image = image
    this.#pool = pool
    this.#reader = new LtxRangeReader({
      header: (header) => this.#begin(header),
      frame: (pgno, bytes, start, end) => this.#add(pgno, bytes, start, end),
    })
  }

  /**
   * Adds the next bytes of the file, which are not kept. Waits for memory.
   *
   * @throws RestoreError, ReplicaError for damage; what writing an earlier range threw
   */
  async take(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
      signal?.throwIfAborted()
      if (this.#failure !== undefined) throw this.#failure.error
      if (!this.#hasRoom()) this.#decode()
      this.#memory ??= await this.#pool.memory()
      const slice = bytes.subarray(at, at + SLICE_BYTES)
      this.#slice = slice
      try {
        this.#orDamaged(() => this.#reader.write(slice))
      } finally {
        this.#copyRest()
      }
    }
  }

  /** Declares the file complete: its pages are on their way. @throws RestoreError */
  end(): void {
    this.#decode()
    const checksums = this.#orDamaged(() => this.#reader.end())
    this.#image.endFile(this.#header!, checksums)
  }

  /** Waits for all pages of a complete file, and verifies its checksum. @throws RestoreError */
  async verify(): Promise<void> {
    const sums = await this.settle()
    this.#orDamaged(() => this.#reader.verify(sums))
    for (const { hash } of sums) this.#image.addHash(hash)
  }

  /** Has all pages so far decoded. @throws what the first of them threw */
  async settle(): Promise<RangeSums[]> {
    this.#decode()
    const sums: RangeSums[] = []
    for (const range of this.#sums) sums.push(await range)
    return sums
  }

  #begin(header: LtxHeader): void {
    assertHeaderOf(this.#file, header)
    this.#image.beginFile(this.#file, header)
    this.#header = header
  }

  /** Adjacent page frames are copied together, but for one that was put together from two slices. */
  #add(pgno: number, bytes: Uint8Array, start: number, end: number): void {
    this.#needed.push(this.#image.needs(pgno) ? 1 : 0)
    if (bytes !== this.#slice) this.#copy(bytes, start, end)
    else {
      if (this.#uncopied.end === 0) this.#uncopied.start = start
      this.#uncopied.end = end
    }
  }

  #copyRest(): void {
    const { start, end } = this.#uncopied
    if (end > 0) this.#copy(this.#slice!, start, end)
    this.#uncopied = { start: 0, end: 0 }
  }

  #copy(bytes: Uint8Array, start: number, end: number): void {
    this.#memory!.set(bytes.subarray(start, end), this.#length)
    this.#length += end - start
  }

  /** For all page frames that the next slice can complete. */
  #hasRoom(): boolean {
    const { pageSize } = this.#header ?? { pageSize: MAX_PAGE_SIZE }
    return this.#length + SLICE_BYTES + pageFrameBound(pageSize) <= RANGE_BYTES
  }

  /** Has the range so far decoded. */
  #decode(): void {
    const memory = this.#memory
    if (memory === undefined) return
    this.#memory = undefined
    if (this.#length === 0) {
      this.#pool.release(memory)
      return
    }
    const range = {
      pageSize: this.#header!.pageSize,
      frames: memory.subarray(0, this.#length),
      needed: Uint8Array.from(this.#needed),
      hasChecksum: hasChecksumOfPages(this.#header!),
    }
    this.#length = 0
    this.#needed = []
    const sums = this.#pool.decode(range).catch((error: unknown) => {
      const failure = this.#described(error)
      this.#failure ??= { error: failure }
      throw failure
    })
    // Handled when the file is verified; without this the process would end with an unhandled rejection.
    sums.catch(() => {})
    this.#sums.push(sums)
  }

  #orDamaged<T>(decode: () => T): T {
    try {
      return decode()
    } catch (error) {
      throw this.#described(error)
    }
  }

  #described(error: unknown): unknown {
    if (!(error instanceof LtxError)) return error
    const { key } = this.#file
    const message = `The object ${key} is damaged: ${error.message}`
    return new RestoreError('DamagedObject', message, { key, cause: error })
  }
}
