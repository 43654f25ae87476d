import { Crc64 } from '../core/ltx/index.ts'
import {
  extendWalChecksum,
  WAL_FRAME_HEADER_SIZE,
  type WalChecksum,
  type WalHeader,
  walFrameSize,
} from '../core/wal/index.ts'
import type { LegacySegment } from './list-legacy.ts'
import { checksumBefore, recoverWalHeader } from './wal-recovery.ts'

/** How the frames of a WAL are encoded. */
export interface FrameFormat {
  /** In bytes. */
  readonly pageSize: number
  /** Byte order of the words that the checksum adds up. */
  readonly bigEndian: boolean
}

/**
 * Consecutive frames of one segment, each with a checksum that continues the previous one: this is
 * how they were in the WAL. Of the pages' contents only a checksum is kept.
 */
export interface FrameChain extends FrameFormat {
  readonly segment: LegacySegment
  /** Index of the first frame within the segment, from 0. */
  readonly at: number
  /** Number of frames, at least 1. */
  readonly length: number
  readonly salt1: number
  readonly salt2: number
  /** Header of the WAL, if the first frame is the first of a WAL. */
  readonly header: WalHeader | undefined
  /** Running checksum before the first frame: the place in the WAL where the chain belongs. */
  readonly before: bigint
  /** Running checksum after each frame. */
  readonly sums: BigUint64Array
  readonly pgnos: Uint32Array
  /** Database size in pages after the commit; 0 if the frame commits nothing. */
  readonly commits: Uint32Array
  /** CRC-64 of each page. */
  readonly contents: BigUint64Array
  /** The database's change counter in each frame of page 1, by the frame's index. */
  readonly counters: ReadonlyMap<number, number>
}

/**
 * Splits the bytes of one segment into chains. Damage is no error: a frame that does not continue
 * the one before it starts a new chain.
 */
export class ChainSplitter {
  readonly #segment: LegacySegment
  readonly #format: FrameFormat
  readonly #frameSize: number
  readonly #pgnos: Uint32Array
  readonly #commits: Uint32Array
  readonly #sums: BigUint64Array
  readonly #contents: BigUint64Array
  readonly #starts: ChainStart[] = []
  readonly #running: WalChecksum = { s1: 0, s2: 0 }
  readonly #cutter: FrameCutter
  #frames = 0

  constructor(segment: LegacySegment, format: FrameFormat) {
    this.#segment = segment
    this.#format = format
    this.#frameSize = walFrameSize(format.pageSize)
    const frames = Math.floor(segment.size / this.#frameSize)
    this.#pgnos = new Uint32Array(frames)
    this.#commits = new Uint32Array(frames)
    this.#sums = new BigUint64Array(frames)
    this.#contents = new BigUint64Array(frames)
    this.#cutter = new FrameCutter(this.#frameSize)
  }

  /** Takes the next bytes of the segment, of any length. */
  take(bytes: Uint8Array): void {
    for (const frame of this.#cutter.cut(bytes)) this.#takeFrame(frame.bytes, frame.at)
  }

  /** All chains in order. A truncated frame at the end is in none of them. */
  end(): FrameChain[] {
    return this.#starts.map((start, i) => {
      const from = start.at
      const to = this.#starts[i + 1]?.at ?? this.#frames
      return {
        ...start,
        ...this.#format,
        segment: this.#segment,
        length: to - from,
        sums: this.#sums.subarray(from, to),
        pgnos: this.#pgnos.subarray(from, to),
        commits: this.#commits.subarray(from, to),
        contents: this.#contents.subarray(from, to),
      }
    })
  }

  #takeFrame(bytes: Uint8Array, at: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, this.#frameSize)
    const index = this.#frames
    if (!this.#continues(bytes, at, view)) this.#starts.push(this.#startAt(bytes, at, view))
    const sum = { s1: view.getUint32(16), s2: view.getUint32(20) }
    this.#running.s1 = sum.s1
    this.#running.s2 = sum.s2
    this.#pgnos[index] = view.getUint32(0)
    this.#commits[index] = view.getUint32(4)
    this.#sums[index] = packSum(sum)
    this.#contents[index] = pageContent(
      bytes.subarray(at + WAL_FRAME_HEADER_SIZE, at + this.#frameSize),
    )
    if (this.#pgnos[index] === 1) {
      const { at: first, counters } = this.#starts.at(-1) as ChainStart
      counters.set(index - first, view.getUint32(CHANGE_COUNTER))
    }
    this.#frames++
  }

  #continues(bytes: Uint8Array, at: number, view: DataView): boolean {
    const chain = this.#starts.at(-1)
    if (chain === undefined || view.getUint32(0) === 0) return false
    if (view.getUint32(8) !== chain.salt1 || view.getUint32(12) !== chain.salt2) return false
    const sum = { ...this.#running }
    const { bigEndian } = this.#format
    extendWalChecksum(sum, bytes, at, at + 8, bigEndian)
    extendWalChecksum(sum, bytes, at + WAL_FRAME_HEADER_SIZE, at + this.#frameSize, bigEndian)
    return sum.s1 === view.getUint32(16) && sum.s2 === view.getUint32(20)
  }

  #startAt(bytes: Uint8Array, at: number, view: DataView): ChainStart {
    const { pageSize, bigEndian } = this.#format
    return {
      at: this.#frames,
      salt1: view.getUint32(8),
      salt2: view.getUint32(12),
      header: recoverWalHeader(bytes, at, pageSize, bigEndian),
      before: packSum(checksumBefore(bytes, at, pageSize, bigEndian)),
      counters: new Map(),
    }
  }
}

interface ChainStart extends Pick<FrameChain, 'at' | 'salt1' | 'salt2' | 'header' | 'before'> {
  readonly counters: Map<number, number>
}

/**
 * Position in a frame of page 1: offset 24 of the database header, SQLite file format, section 1.3.
 */
const CHANGE_COUNTER = WAL_FRAME_HEADER_SIZE + 24

/** Both sums of a running checksum as one value. */
export function packSum({ s1, s2 }: WalChecksum): bigint {
  return (BigInt(s1) << 32n) | BigInt(s2)
}

/** Distinguishes the contents of pages; the chance of a collision is 2^-64. */
export function pageContent(page: Uint8Array): bigint {
  return new Crc64().update(page).digest()
}

/** A whole frame within a larger buffer. Valid until the next frame is requested. */
interface CutFrame {
  readonly bytes: Uint8Array
  readonly at: number
}

/** Cuts a stream of pieces of any length into frames of one size. */
export class FrameCutter {
  readonly #rest: Uint8Array
  #length = 0

  /** @param frameSize In bytes. */
  constructor(frameSize: number) {
    this.#rest = new Uint8Array(frameSize)
  }

  /** The frames that the next bytes complete. The rest is kept for the next call. */
  *cut(bytes: Uint8Array): Generator<CutFrame, void, void> {
    const size = this.#rest.length
    let at = 0
    if (this.#length > 0) {
      at = Math.min(size - this.#length, bytes.length)
      this.#keep(bytes.subarray(0, at))
      if (this.#length < size) return
      this.#length = 0
      yield { bytes: this.#rest, at: 0 }
    }
    for (; at + size <= bytes.length; at += size) yield { bytes, at }
    this.#keep(bytes.subarray(at))
  }

  #keep(bytes: Uint8Array): void {
    this.#rest.set(bytes, this.#length)
    this.#length += bytes.length
  }
}
