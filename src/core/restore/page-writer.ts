import type { FileHandle } from 'node:fs/promises'
import { EarlyFlush } from '../fs/index.ts'
import { PageRun, RUN_BYTES } from './page-run.ts'

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
  readonly #flush: EarlyFlush
  readonly #free: Uint8Array<ArrayBuffer>[] = []
  readonly #underway = new Set<Promise<void>>()
  readonly #run: PageRun
  #failure: { readonly error: unknown } | undefined

  /**
   * @param handle is closed by the caller
   * @param flushBytes written bytes between two flushes to disk; default as in `EarlyFlush`
   */
  constructor(handle: FileHandle, pageSize: number, flushBytes?: number) {
    this.#handle = handle
    this.#flush = new EarlyFlush(() => handle.sync(), flushBytes)
    this.#run = new PageRun(pageSize)
  }

  /**
   * Adds a page; its bytes are copied. Returns a promise only if a running write must be waited for
   * before the next page. Throws the error of an earlier write.
   */
  write(pgno: number, data: Uint8Array): Promise<void> | undefined {
    const room = this.#run.takes(pgno) ? undefined : this.#endRun()
    this.#run.add(pgno, data)
    return room
  }

  /** Counts bytes that another thread has written. Throws the error of an earlier flush. */
  wroteElsewhere(bytes: number): void {
    this.#flush.wrote(bytes)
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
    const { bytes, length, position } = this.#run
    if (length === 0) return
    this.#flush.wrote(length)
    if (length < SYNC_BYTES) {
      this.#run.writeSync(this.#handle.fd)
      return
    }
    const write = this.#writeAll(bytes, position)
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .then(() => {
        this.#underway.delete(write)
        this.#free.push(new Uint8Array(bytes.buffer))
      })
    this.#underway.add(write)
    this.#run.restart(this.#free.pop() ?? new Uint8Array(RUN_BYTES))
    return this.#underway.size < WRITES_UNDERWAY ? undefined : Promise.race(this.#underway)
  }

  async #writeAll(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0
    while (done < bytes.length) {
      const left = bytes.length - done
      const { bytesWritten } = await this.#handle.write(bytes, done, left, position + done)
      done += bytesWritten
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
