import { mapParallel } from '../async/map-parallel.ts'
import type { LtxHeader } from '../ltx/index.ts'
import { decodeHeaderOf, type LtxFileInfo, type ReplicaClient } from '../replica/replica-client.ts'

/**
 * Memory for all inputs of one merge, in bytes: once for pieces of files, and once for pages
 * decoded from them.
 */
const BUDGET_BYTES = 16 * 1024 * 1024
const DECODED_BUDGET_BYTES = 32 * 1024 * 1024
/** Upper and lower bound of one read, depending on how much memory is left for it. */
const MAX_PIECE_BYTES = 4 * 1024 * 1024
const MIN_PIECE_BYTES = 64 * 1024
/** LZ4 expands one byte to at most this many. */
const MAX_RATIO = 255

/** Reads in flight while the first pieces are fetched. */
const PARALLEL_READS = 8

/** One file to be merged: its header and first piece in memory, the rest in the store. */
export interface CompactionInput {
  readonly file: LtxFileInfo
  readonly header: LtxHeader
  /**
   * The whole file; may be read again. Each piece is a separate request, so that no connection is
   * kept waiting.
   */
  chunks(signal: AbortSignal): AsyncIterable<Uint8Array>
}

/**
 * Fetches the beginning of each file; a small file is fetched completely, with one request.
 *
 * @throws ReplicaError `DamagedObject` for a header that is invalid or contradicts the file's name
 * @throws ReplicaError `MissingObject`, `ObjectChanged`
 * @throws StoreError
 */
export async function openInputs(
  client: ReplicaClient,
  files: readonly LtxFileInfo[],
  signal: AbortSignal,
): Promise<CompactionInput[]> {
  const pieceBytes = pieceSize(files)
  const chunkBytes = Math.ceil(DECODED_BUDGET_BYTES / MAX_RATIO / files.length)
  return await mapParallel(files, PARALLEL_READS, async (file) => {
    const first = await readPiece(client, file, 0, pieceBytes, signal)
    const header = decodeHeaderOf(file, first)
    let kept: Uint8Array | undefined = first
    async function* pieces(signal: AbortSignal): AsyncGenerator<Uint8Array> {
      yield kept ?? (await readPiece(client, file, 0, pieceBytes, signal))
      // A large file is read again if necessary, so only the pieces in use count.
      if (first.length < file.size) kept = undefined
      for (let at = first.length; at < file.size; at += pieceBytes) {
        yield await readPiece(client, file, at, pieceBytes, signal)
      }
    }
    return { file, header, chunks: (signal) => cut(pieces(signal), chunkBytes) }
  })
}

/** Smaller chunks, because all pages of a chunk are decoded at once. */
async function* cut(
  pieces: AsyncIterable<Uint8Array>,
  chunkBytes: number,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; at += chunkBytes) {
      yield piece.subarray(at, at + chunkBytes)
    }
  }
}

/** The largest piece with which the files stay within the budget. */
function pieceSize(files: readonly LtxFileInfo[]): number {
  let piece = MAX_PIECE_BYTES
  const held = (): number => files.reduce((sum, { size }) => sum + Math.min(size, piece), 0)
  while (piece > MIN_PIECE_BYTES && held() > BUDGET_BYTES) piece /= 2
  return piece
}

/** @throws ReplicaError, StoreError */
async function readPiece(
  client: ReplicaClient,
  file: LtxFileInfo,
  start: number,
  pieceBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const end = Math.min(start + pieceBytes, file.size)
  return await client.read(file, { range: { start, end }, signal })
}
