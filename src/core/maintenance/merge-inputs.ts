import type { LtxHeader } from '../ltx/index.ts'
import { mapParallel } from '../replica/map-parallel.ts'
import {
  decodeHeaderOf,
  type LtxFileInfo,
  type ReplicaClient,
  ReplicaError,
} from '../replica/replica-client.ts'

/** What all inputs of one merge may hold of their files at a time, in bytes. */
const BUDGET_BYTES = 32 * 1024 * 1024
/** Bounds of one read: so much where memory is no question, so little where it is. */
const MAX_PIECE_BYTES = 4 * 1024 * 1024
const MIN_PIECE_BYTES = 64 * 1024

/** Reads in flight while the first pieces are fetched. */
const PARALLEL_READS = 8

/** One file to be merged: its header and first piece in memory, the rest in the store. */
export interface MergeInput {
  readonly file: LtxFileInfo
  readonly header: LtxHeader
  /** The whole file; may be read again. Each piece is a request of its own, so that no connection waits for its turn. */
  chunks(signal: AbortSignal): AsyncIterable<Uint8Array>
}

/**
 * Fetches the beginning of each file: of a small one all of it, by one request.
 *
 * @throws ReplicaError `DamagedObject` for a header that is none or contradicts the file's name
 * @throws ReplicaError `MissingObject`, `ObjectChanged`
 * @throws StoreError
 */
export async function openInputs(
  client: ReplicaClient,
  files: readonly LtxFileInfo[],
  signal: AbortSignal,
): Promise<MergeInput[]> {
  const pieceBytes = pieceSize(files)
  return await mapParallel(files, PARALLEL_READS, async (file) => {
    const first = await readPiece(client, file, 0, pieceBytes, signal)
    return {
      file,
      header: decodeHeaderOf(file, first),
      chunks: (signal) => readFrom(client, file, first, pieceBytes, signal),
    }
  })
}

/** The largest piece with which the files stay within the budget. */
function pieceSize(files: readonly LtxFileInfo[]): number {
  let piece = MAX_PIECE_BYTES
  const held = (): number => files.reduce((sum, { size }) => sum + Math.min(size, piece), 0)
  while (piece > MIN_PIECE_BYTES && held() > BUDGET_BYTES) piece /= 2
  return piece
}

async function* readFrom(
  client: ReplicaClient,
  file: LtxFileInfo,
  first: Uint8Array,
  pieceBytes: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  yield first
  for (let at = first.length; at < file.size; at += pieceBytes) {
    yield await readPiece(client, file, at, pieceBytes, signal)
  }
}

/** @throws ReplicaError, StoreError */
async function readPiece(
  client: ReplicaClient,
  file: LtxFileInfo,
  start: number,
  pieceBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.min(pieceBytes, file.size - start))
  if (bytes.length === 0) return bytes
  let length = 0
  const range = { start, end: start + bytes.length }
  for await (const chunk of client.open(file, { range, signal })) {
    if (length + chunk.length <= bytes.length) bytes.set(chunk, length)
    length += chunk.length
  }
  if (length === bytes.length) return bytes
  const message = `The store gave ${length} bytes of ${file.key} for the ${bytes.length} from ${start} on.`
  throw new ReplicaError('ObjectChanged', file.key, message)
}
