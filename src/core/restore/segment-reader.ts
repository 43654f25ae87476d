import { setTimeout as delay } from 'node:timers/promises'
import { Backoff } from '../async/backoff.ts'
import { type LtxFileInfo, type ReplicaClient, ReplicaError } from '../replica/replica-client.ts'
import { type ByteRange, freeBytes, isStoreError, type StoreError } from '../store/index.ts'

/** Bytes of one ranged read. Times `parallelism`, this limits the memory of a restore. */
export const SEGMENT_BYTES = 2 * 1024 * 1024

/**
 * Attempts to read one segment. The store retries requests and resumes bodies; only a new read helps
 * if all bytes arrived and were damaged, or if the object was replaced while it was being read.
 */
const ATTEMPTS = 3
const FIRST_DELAY_MS = 100

/** One piece of one file, complete in memory. */
export interface Segment {
  readonly file: LtxFileInfo
  /** Valid until the next piece is asked for. */
  readonly bytes: Uint8Array
  /** Is this the file's last piece? */
  readonly last: boolean
}

export interface SegmentOptions {
  /** Most reads that are running or waiting to be consumed. */
  readonly parallelism: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Reads files in the given order and yields their pieces in that order while it prefetches the next
 * ones. An error is thrown only when its piece is due, so that a file that turns out not to be
 * needed cannot fail a restore. Leaving the loop ends all requests first.
 */
export async function* readSegments(
  client: ReplicaClient,
  files: Iterable<LtxFileInfo>,
  options: SegmentOptions,
): AsyncGenerator<Segment, void, void> {
  const left = new AbortController()
  const signal =
    options.signal === undefined ? left.signal : AbortSignal.any([options.signal, left.signal])
  const pieces = piecesOf(files)
  const underway: Promise<Segment>[] = []
  try {
    for (;;) {
      while (underway.length < options.parallelism) {
        const { value: piece } = pieces.next()
        if (piece === undefined) break
        const segment = readPiece(client, piece, signal)
        // Handled again when it is due; without this the process would end with an unhandled
        // rejection.
        segment.catch(() => {})
        underway.push(segment)
      }
      const due = underway[0]
      if (due === undefined) return
      const segment = await due
      void underway.shift()
      yield segment
      freeBytes(segment.bytes)
    }
  } finally {
    left.abort()
    await Promise.allSettled(underway)
  }
}

interface Piece {
  readonly file: LtxFileInfo
  readonly range: Required<ByteRange> & { readonly end: number }
}

function* piecesOf(files: Iterable<LtxFileInfo>): Generator<Piece, void, void> {
  for (const file of files) {
    let start = 0
    do {
      const end = Math.min(start + SEGMENT_BYTES, file.size)
      yield { file, range: { start, end } }
      start = end
    } while (start < file.size)
  }
}

async function readPiece(
  client: ReplicaClient,
  piece: Piece,
  signal: AbortSignal,
): Promise<Segment> {
  const backoff = new Backoff({ firstMs: FIRST_DELAY_MS, jitter: false })
  for (let attempt = 1; ; attempt++) {
    try {
      return await readOnce(client, piece, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (attempt === ATTEMPTS && isCorrupted(error)) throw damaged(piece.file, error)
      if (attempt === ATTEMPTS || !isTransient(error)) throw error
      await delay(backoff.next(), undefined, { signal })
    }
  }
}

async function readOnce(
  client: ReplicaClient,
  { file, range }: Piece,
  signal: AbortSignal,
): Promise<Segment> {
  const bytes = await client.read(file, { range, signal })
  return { file, bytes, last: range.end === file.size }
}

function isTransient(error: unknown): boolean {
  return isCorrupted(error) || (isStoreError(error) && error.retryable)
}

function isCorrupted(error: unknown): error is StoreError {
  return isStoreError(error) && error.code === 'Corrupted'
}

function damaged(file: LtxFileInfo, cause: StoreError): ReplicaError {
  const message = `The object ${file.key} arrives damaged every time: ${cause.message}`
  return new ReplicaError('DamagedObject', file.key, message, { cause })
}
