import { setImmediate } from 'node:timers/promises'
import { helperThreads, startThreads, WorkerThread } from '../async/worker-thread.ts'
import { decodeRange, type FrameRange, type RangeSums } from '../ltx/index.ts'
import type { DatabaseImage } from './database-image.ts'

/** Below this many bytes of files, starting threads takes longer than they save. */
const MIN_BYTES = 16 << 20
/** The thread that reads keeps up with about this many. */
const MAX_THREADS = 3
/** Bytes of page frames that are decoded at a time, some milliseconds of work. */
export const RANGE_BYTES = 256 << 10
/** One that is decoded and some that wait, so that no thread waits for the reader. */
const RANGES_PER_THREAD = 4
/** A smaller range takes less time than its way to another thread and back. */
const MIN_RANGE_BYTES = 16 << 10

/** How many threads should help to decode files of these sizes. */
export function decoderThreadsFor(sizes: readonly number[]): number {
  const bytes = sizes.reduce((sum, size) => (size < MIN_RANGE_BYTES ? sum : sum + size), 0)
  return bytes < MIN_BYTES ? 0 : helperThreads(MAX_THREADS)
}

/** To decode a range, and to write its pages to their places in a file. Its memory goes along. */
export interface DecodeRequest {
  readonly fd: number
  readonly range: FrameRange
}

export interface DecodeAnswer {
  /** `undefined` if anything went wrong. */
  readonly sums: RangeSums | undefined
  /** Comes back. */
  readonly range: FrameRange
}

/**
 * Decodes ranges and writes their pages into the file under construction, in threads and in the caller's
 * thread while all others are busy. What is underway at once is bounded by the memory for ranges. Threads that
 * cannot be started are done without.
 */
export class RangePool {
  readonly #image: DatabaseImage
  readonly #fd: number
  readonly #threads: readonly DecoderThread[]
  readonly #free: RangeMemory[]
  readonly #waiting: ((memory: RangeMemory) => void)[] = []
  readonly #running = new Set<Promise<RangeSums>>()
  #isClosed = false

  /** @param threads how many others; 0 is allowed */
  constructor(image: DatabaseImage, fd: number, threads: number) {
    this.#image = image
    this.#fd = fd
    this.#threads = startThreads(threads, () => new DecoderThread())
    const most = this.#threads.length * RANGES_PER_THREAD + 1
    this.#free = Array.from({ length: most }, () => new Uint8Array(RANGE_BYTES))
  }

  /** Resolves to memory of `RANGE_BYTES` for the next range, once there is any. */
  async memory(): Promise<RangeMemory> {
    return this.#free.pop() ?? new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Takes memory back. */
  release({ buffer }: RangeMemory): void {
    const next = this.#waiting.shift()
    const memory = new Uint8Array(buffer)
    if (next === undefined) this.#free.push(memory)
    else next(memory)
  }

  /**
   * Resolves when the pages are written.
   *
   * @param range lies in memory of this pool, and gives it back
   * @throws LtxError; ThreadEnded; what writing throws
   */
  decode(range: FrameRange): Promise<RangeSums> {
    const sums = this.#decode(range).finally(() => this.#running.delete(sums))
    this.#running.add(sums)
    return sums
  }

  /**
   * Ends the threads, and waits for everything that is running, whether it succeeds or fails: nothing is
   * written any more.
   */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#threads.map((thread) => thread.close()))
    await Promise.allSettled(this.#running)
  }

  async #decode(range: FrameRange): Promise<RangeSums> {
    const thread = await this.#freeThread(range)
    if (thread === undefined) return this.#decodeHere(range)
    const answer = await thread.ask({ fd: this.#fd, range }, [range.frames.buffer])
    if (answer === undefined) {
      this.release(new Uint8Array(RANGE_BYTES))
      throw new ThreadEnded()
    }
    // Done again where it went wrong: an error of this thread says more.
    if (answer.sums === undefined) return this.#decodeHere(answer.range)
    this.release(answer.range.frames)
    this.#image.wroteElsewhere(range.needed)
    return answer.sums
  }

  async #freeThread(range: FrameRange): Promise<DecoderThread | undefined> {
    if (this.#threads.length === 0 || range.frames.length < MIN_RANGE_BYTES) return undefined
    const find = () => this.#threads.find((thread) => thread.isFree(RANGES_PER_THREAD))
    const free = find()
    if (free !== undefined) return free
    // Answers may have come that this thread was too busy to take.
    await setImmediate()
    return find()
  }

  async #decodeHere(range: FrameRange): Promise<RangeSums> {
    try {
      const pages = decodeRange(range)
      for (;;) {
        // The file may be closed afterwards, and its descriptor another file's.
        if (this.#isClosed) throw new Error('The restore has ended.')
        const next = pages.next()
        if (next.done === true) return next.value
        const { pgno, data } = next.value
        const room = this.#image.write(pgno, data)
        if (room !== undefined) await room
      }
    } finally {
      this.release(range.frames)
    }
  }
}

type RangeMemory = Uint8Array<ArrayBuffer>

class DecoderThread extends WorkerThread<DecodeRequest, DecodeAnswer> {
  constructor() {
    super('./decode-worker', import.meta.url)
  }
}

/** A thread has ended, and took memory with it: the plan has to be run again, without threads. */
export class ThreadEnded extends Error {}
