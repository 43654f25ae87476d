import { helperThreads, startThreads, WorkerThread } from '../../async/worker-thread.ts'
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
  return bytes < MIN_BYTES ? 0 : helperThreads(MAX_THREADS)
}

/** Reads ranges of pages, each into the memory that it is given for it. */
export type RangeReader = (memoryFor: () => Uint8Array) => Generator<PageRange>

/**
 * Encodes ranges of pages, and yields them in their order. The caller's thread encodes as well while all
 * others are busy and none has a range ready. The memory of the ranges is shared with the threads; what is
 * underway at once is bounded by it.
 *
 * A thread that cannot be started or that ends is done without.
 *
 * @param threads how many others, at least 1
 * @throws what the reader throws
 */
export async function* encodeInThreads(
  threads: number,
  pageSize: number,
  read: RangeReader,
): AsyncGenerator<EncodedRange> {
  const bytes = Math.max(pageSize, RANGE_BYTES)
  const most = threads * RANGES_PER_THREAD + 1
  const memories = Array.from({ length: most }, () => new Uint8Array(new SharedArrayBuffer(bytes)))
  const encoders = startThreads(threads, () => new EncoderThread(pageSize))
  const own = new RangeEncoder(pageSize)
  const encodeHere = ({ first, data }: PageRange) => own.encode(first, data)
  const underway: Underway[] = []
  let begun = 0
  const ranges = read(() => memories[begun % most]!)
  try {
    for (;;) {
      while (underway.length < most) {
        const encoder = encoders.find((thread) => thread.isFree(RANGES_PER_THREAD))
        if (encoder === undefined && underway[0]?.hasEnded) break
        const { value: range } = ranges.next()
        if (range === undefined) break
        const answer = encoder?.ask(range) ?? Promise.resolve(encodeHere(range))
        underway.push(new Underway(range, answer))
        begun += 1
      }
      const due = underway.shift()
      if (due === undefined) return
      yield (await due.answer) ?? encodeHere(due.range)
    }
  } finally {
    ranges.return(undefined)
    await Promise.all(encoders.map((encoder) => encoder.close()))
  }
}

class EncoderThread extends WorkerThread<PageRange, EncodedRange> {
  constructor(pageSize: number) {
    super('./encode-worker', import.meta.url, pageSize)
  }
}

/** What a thread makes of a range; `undefined` if it has ended: the pages are still in their memory. */
type Answer = Promise<EncodedRange | undefined>

/** A range that was begun. */
class Underway {
  readonly range: PageRange
  readonly answer: Answer
  hasEnded = false

  constructor(range: PageRange, answer: Answer) {
    this.range = range
    this.answer = answer.finally(() => {
      this.hasEnded = true
    })
  }
}
