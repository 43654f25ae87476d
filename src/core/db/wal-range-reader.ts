import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { type WalHeader, type WalScanner, walFrameOffset, walFrameSize } from '../wal/index.ts'
import type { WalFile } from './wal-file.ts'

/**
 * Holds what is read between two turns of the event loop. All databases share it, because each chunk
 * is scanned before anything else runs.
 */
const CHUNK = new Uint8Array(1 << 20)

/** Feeds the frames of a WAL to a scanner, in chunks, so that a long WAL does not block the other databases. */
export class WalRangeReader {
  readonly #wal: WalFile
  readonly #frameSize: number

  /** @param pageSize in bytes */
  constructor(wal: WalFile, pageSize: number) {
    this.#wal = wal
    this.#frameSize = walFrameSize(pageSize)
  }

  /**
   * Continues where the scanner is. Stops after `published` frames of the run, at a frame that does
   * not verify, or at a commit once the scanner holds `maxPages` distinct pages.
   */
  async read(
    run: WalHeader,
    scanner: WalScanner,
    published: number,
    maxPages: number,
  ): Promise<WalScanner> {
    const size = this.#frameSize
    const perChunk = Math.floor(CHUNK.length / size)
    while (scanner.frame < published && !scanner.ended) {
      const frames = Math.min(perChunk, published - scanner.frame)
      const chunk = CHUNK.subarray(0, frames * size)
      const read = this.#wal.read(chunk, walFrameOffset(scanner.frame, run.pageSize))
      const whole = Math.floor(read / size) * size
      if (whole === 0) break
      scanner.scan(chunk.subarray(0, whole))
      if (scanner.pages.size >= maxPages && scanner.position.frame > 0) break
      if (frames === perChunk) await yieldToEventLoop()
    }
    return scanner
  }
}
