import type { WalHeader } from '../core/wal/index.ts'
import { type FrameChain, packSum } from './frame-chain.ts'
import type { LegacySegment } from './list-legacy.ts'

/** Consecutive frames of a chain within a run. */
export interface RunSpan {
  readonly chain: FrameChain
  /** Index of the first one within the chain. */
  readonly from: number
  readonly length: number
  /** Position in the run of the first one: the number of frames before it. */
  readonly position: number
}

/**
 * One lifetime of a WAL, from its first frame on, assembled from what was uploaded. Every checksum
 * in it has been verified, so it is what SQLite wrote, with nothing missing before its end.
 */
export class WalRun {
  readonly header: WalHeader
  /**
   * Does the log have two histories, both with commits? Only a power failure or a second writer
   * causes that.
   */
  forked = false
  readonly #spans: RunSpan[] = []
  /** Positions between two uploads, by running checksum; the next upload begins at one of them. */
  readonly #places = new Map<bigint, number>()

  constructor(header: WalHeader) {
    this.header = header
    const { checksum1: s1, checksum2: s2 } = header
    this.#places.set(packSum({ s1, s2 }), 0)
  }

  get spans(): readonly RunSpan[] {
    return this.#spans
  }

  /** Number of frames. */
  get length(): number {
    const last = this.#spans.at(-1)
    return last === undefined ? 0 : last.position + last.length
  }

  /** Position of a chain that continues this checksum, if an upload ended there. */
  placeOf(before: bigint): number | undefined {
    return this.#places.get(before)
  }

  /**
   * The same for many, and after any frame: an upload may continue from within an earlier one that
   * is gone.
   */
  placesAmongFrames(wanted: ReadonlySet<bigint>): Map<bigint, number> {
    const found = new Map<bigint, number>()
    for (const { chain, from, length, position } of this.#spans) {
      for (let i = 0; i < length; i++) {
        const sum = chain.sums[from + i] as bigint
        if (wanted.has(sum)) found.set(sum, position + i + 1)
      }
    }
    return found
  }

  /** Is this the running checksum after `position` frames? */
  hasPlace(position: number, sum: bigint): boolean {
    if (position > this.length) return false
    if (position === 0) return this.#places.get(sum) === 0
    const { chain, from, position: start } = this.spanAt(position - 1)
    return chain.sums[from + position - 1 - start] === sum
  }

  /**
   * Puts a chain where it belongs. Frames that are already there stay, since the earlier upload
   * tells better when they were written. Where the chain differs, it wins, because it was read
   * later: SQLite overwrites frames that were never committed.
   */
  place(chain: FrameChain, position: number): void {
    const same = this.#commonLength(chain, position)
    if (same === chain.length) return
    const fork = position + same
    if (fork < this.length) {
      const lost = this.lastCommit(this.length) > fork
      const gained = chain.commits.subarray(same).some((commit) => commit !== 0)
      if (lost) this.forked = true
      if (lost && !gained) return
      this.#cut(fork)
    }
    this.#spans.push({ chain, from: same, length: chain.length - same, position: fork })
    this.#places.set(chain.sums[chain.length - 1] as bigint, this.length)
  }

  /** Number of frames up to the last commit frame among the first `limit`; 0 for none. */
  lastCommit(limit: number): number {
    for (const { chain, from, length, position } of this.#spans.toReversed()) {
      for (let i = Math.min(length, limit - position) - 1; i >= 0; i--) {
        if (chain.commits[from + i] !== 0) return position + i + 1
      }
    }
    return 0
  }

  /** The span that holds the frame of this index. */
  spanAt(index: number): RunSpan {
    let low = 0
    let high = this.#spans.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#spans[middle] as RunSpan).position <= index) low = middle
      else high = middle - 1
    }
    return this.#spans[low] as RunSpan
  }

  #commonLength(chain: FrameChain, position: number): number {
    let same = 0
    while (same < chain.length && position + same < this.length) {
      const { chain: own, from, position: start, length } = this.spanAt(position + same)
      let at = position + same - start
      for (; at < length && same < chain.length; at++, same++) {
        if (own.sums[from + at] !== chain.sums[same]) return same
      }
    }
    return same
  }

  #cut(length: number): void {
    for (
      let last = this.#spans.at(-1);
      last && last.position >= length;
      last = this.#spans.at(-1)
    ) {
      this.#spans.pop()
    }
    const last = this.#spans.pop()
    if (last !== undefined) this.#spans.push({ ...last, length: length - last.position })
    for (const [sum, place] of this.#places) if (place > length) this.#places.delete(sum)
  }
}

/** A run and how much of it a restore replays. */
export interface AppliedRun {
  readonly run: WalRun
  /** Number of frames, the last one a commit; 0 for none. */
  readonly frames: number
  /** Frames after them that were also stored in time, but without a commit. */
  readonly uncommitted: number
  /** Were more frames of the run stored after the requested time? */
  readonly goesOn: boolean
}

/** The part of a run that had been stored by a time; `undefined`: all of it. */
export function runUntil(run: WalRun, until: Date | undefined): AppliedRun {
  const late = run.spans.find(
    ({ chain }) => until !== undefined && chain.segment.uploadedAt > until,
  )
  const limit = late?.position ?? run.length
  const frames = run.lastCommit(limit)
  return { run, frames, uncommitted: limit - frames, goesOn: late !== undefined }
}

/** The segment that holds the last frame replayed. */
export function lastSegment({ run, frames }: AppliedRun): LegacySegment {
  return run.spanAt(frames - 1).chain.segment
}

/** Database size in pages after the last frame replayed. */
export function sizeAfter({ run, frames }: AppliedRun): number {
  const { chain, from, position } = run.spanAt(frames - 1)
  return chain.commits[from + frames - 1 - position] as number
}
