import { writeSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { EarlyFlush } from '../fs/index.ts'

/** Adjacent pages are combined up to this many bytes. */
const RUN_BYTES = 1024 * 1024
/**
 * Shorter runs are written synchronously: into the page cache that takes some microseconds, a third
 * of what a trip through the thread pool does, and a history of scattered pages is made of them.
 */
const SYNC_BYTES = 64 * 1024
/** Concurrent writes. More would not help: the decoder keeps one core busy. */
const WRITES_UNDERWAY = 4

/**
 * Writes pages to their places in a file: consecutive neighbours are combined into one write, and a
 * few writes and a flush to disk run while the next pages are decoded.
 */
export class PageWriter {
  readonly #handle: FileHandle
  readonly #pageSize: number
  readonly #flush: EarlyFlush
  readonly #free: Uint8Array[] = []
  readonly #underway = new Set<Promise<void>>()
  #run: Uint8Array
  #runStart = 0
  #runLength = 0
  #failure: { readonly error: unknown } | undefined

  /**
   * @param handle is closed by the caller
   * @param flushBytes written bytes between two flushes to disk; default as in `EarlyFlush`
   */
  constructor(handle: FileHandle, pageSize: number, flushBytes?: number) {
    this.#handle = handle
    this.#pageSize = pageSize
    this.#flush = new EarlyFlush(() => handle.sync(), flushBytes)
    this.#run = new Uint8Array(RUN_BYTES)
  }

  /**
   * Adds a page; its bytes are copied. Returns a promise only if a running write must be waited for
   * before the next page. Throws the error of an earlier write.
   */
  write(pgno: number, data: Uint8Array): Promise<void> | undefined {
    const position = (pgno - 1) * this.#pageSize
    const adjoins = position === this.#runStart + this.#runLength
    let room: Promise<void> | undefined
    if (!adjoins || this.#runLength + data.length > RUN_BYTES) {
      room = this.#endRun()
      this.#runStart = position
    }
    this.#run.set(data, this.#runLength)
    this.#runLength += data.length
    return room
  }

  /** Resolves when everything added so far is written (not all of it is flushed to disk). */
  async drain(): Promise<void> {
    await this.#endRun()
    await Promise.all(this.#underway)
    this.#throwFailure()
    await this.#flush.end()
  }

  /** Waits for what is running, whether it succeeds or fails, so that the file can be closed. */
  async settle(): Promise<void> {
    await Promise.all(this.#underway)
    await this.#flush.settle()
  }

  #endRun(): Promise<void> | undefined {
    this.#throwFailure()
    if (this.#runLength === 0) return
    const run = this.#run
    this.#flush.wrote(this.#runLength)
    if (this.#runLength < SYNC_BYTES) {
      writeAllSync(this.#handle.fd, run, this.#runLength, this.#runStart)
      this.#runLength = 0
      return
    }
    const write = this.#writeAll(run, this.#runLength, this.#runStart)
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .then(() => {
        this.#underway.delete(write)
        this.#free.push(run)
      })
    this.#underway.add(write)
    this.#runLength = 0
    this.#run = this.#free.pop() ?? new Uint8Array(RUN_BYTES)
    return this.#underway.size < WRITES_UNDERWAY ? undefined : Promise.race(this.#underway)
  }

  async #writeAll(bytes: Uint8Array, length: number, position: number): Promise<void> {
    let done = 0
    while (done < length) {
      const { bytesWritten } = await this.#handle.write(bytes, done, length - done, position + done)
      done += bytesWritten
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

function writeAllSync(fd: number, bytes: Uint8Array, length: number, position: number): void {
  let done = 0
  while (done < length) done += writeSync(fd, bytes, done, length - done, position + done)
}
