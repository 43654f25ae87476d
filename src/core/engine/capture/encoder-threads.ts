import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { PageRange } from '../../db/index.ts'
import { type EncodedRange, RangeEncoder } from '../../ltx/index.ts'

/** Below this many bytes of pages, starting threads takes longer than they save. */
const MIN_BYTES = 32 << 20
/** The thread that reads and stores keeps up with about this many. */
const MAX_THREADS = 3
/** Bytes of pages that are encoded at a time, about a millisecond of work. */
const RANGE_BYTES = 256 << 10
/** One that is encoded and one that waits, so that no thread waits for the reader. */
const RANGES_PER_THREAD = 2

/** How many threads should help to encode this many bytes of pages. */
export function encoderThreadsFor(bytes: number): number {
  return bytes < MIN_BYTES ? 0 : Math.min(availableParallelism() - 1, MAX_THREADS)
}

/** Reads ranges of pages, each into the memory that it is given for it. */
export type RangeReader = (memoryFor: () => Uint8Array) => Generator<PageRange>

/**
 * Encodes ranges of pages, and yields them in their order. The caller's thread encodes as well while all
 * others are busy and none has a range ready. The memory of the ranges is shared with the threads; what is
 * underway at once is bounded by it.
 *
 * @param threads how many others, at least 1
 * @throws what the reader throws; an error if a thread ends
 */
export async function* encodeInThreads(
  threads: number,
  pageSize: number,
  read: RangeReader,
): AsyncGenerator<EncodedRange> {
  const bytes = Math.max(pageSize, RANGE_BYTES)
  const most = threads * RANGES_PER_THREAD + 1
  const memories = Array.from({ length: most }, () => new Uint8Array(new SharedArrayBuffer(bytes)))
  const encoders = Array.from({ length: threads }, () => new EncoderThread(pageSize))
  const ownEncoder = new RangeEncoder(pageSize)
  const underway: Underway[] = []
  let begun = 0
  const ranges = read(() => memories[begun % most]!)
  try {
    for (;;) {
      while (underway.length < most) {
        const encoder = encoders.find(({ load }) => load < RANGES_PER_THREAD)
        if (encoder === undefined && underway[0]?.hasEnded) break
        const { value: range } = ranges.next()
        if (range === undefined) break
        underway.push(encoder?.encode(range) ?? encodeHere(ownEncoder, range))
        begun += 1
      }
      const due = underway.shift()
      if (due === undefined) return
      yield await due.ended
    }
  } finally {
    ranges.return(undefined)
    await Promise.all(encoders.map((encoder) => encoder.close()))
  }
}

/** A range that was begun. */
interface Underway {
  readonly ended: Promise<EncodedRange>
  hasEnded: boolean
}

function encodeHere(encoder: RangeEncoder, { first, data }: PageRange): Underway {
  return { ended: Promise.resolve(encoder.encode(first, data)), hasEnded: true }
}

/** One thread. Its answers come in the order of the requests. */
class EncoderThread {
  readonly #worker: Worker
  readonly #waiting: Pick<PromiseWithResolvers<EncodedRange>, 'resolve' | 'reject'>[] = []
  #failure: Error | undefined

  constructor(pageSize: number) {
    const file = import.meta.url.endsWith('.ts') ? './encode-worker.ts' : './encode-worker.js'
    this.#worker = new Worker(new URL(file, import.meta.url), {
      workerData: pageSize,
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    })
    this.#worker.on('message', (range: EncodedRange) => this.#waiting.shift()?.resolve(range))
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('exit', () => this.#fail(new Error('A thread that encodes pages has ended.')))
  }

  /** Ranges that it has not answered yet. */
  get load(): number {
    return this.#waiting.length
  }

  encode(range: PageRange): Underway {
    const { promise, resolve, reject } = Promise.withResolvers<EncodedRange>()
    const underway: Underway = { ended: promise, hasEnded: false }
    // A failure is thrown when the range is due.
    promise.then(
      () => {
        underway.hasEnded = true
      },
      () => {},
    )
    if (this.#failure === undefined) this.#waiting.push({ resolve, reject })
    else reject(this.#failure)
    this.#worker.postMessage(range)
    return underway
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure)
  }
}
