import { type DatabaseChecksums, LtxError, type LtxHeader, lockPage } from '../ltx/index.ts'
import { LtxObjectDecoder } from '../replica/ltx-object-decoder.ts'
import { type LtxFileInfo, type ReplicaClient, ReplicaError } from '../replica/replica-client.ts'
import { isArchived, isStoreError } from '../store/index.ts'

/**
 * Finds out which object made a merge fail, by reading each of them again separately: one that is
 * intact this time was only damaged in transit.
 *
 * @returns a `CompactionError` that names the object, or the error itself if none is to blame
 * @throws StoreError for an object that cannot be read now; the signal's reason
 */
export async function explainFailure(
  client: ReplicaClient,
  files: readonly LtxFileInfo[],
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  signal.throwIfAborted()
  const fault = faultOf(error)
  if (fault === undefined) return error
  if (fault instanceof ReplicaError && fault.code === 'MissingObject') {
    return new CompactionError('MissingObject', fault.key, fault.message, { cause: error })
  }
  let before: Examined | undefined
  let empty: LtxFileInfo | undefined
  for (const file of files) {
    const found = await examine(client, file, before, signal)
    if (found instanceof CompactionError) return found
    before = found
    if (found.commit === 0) empty = file
  }
  if (fault instanceof LtxError && fault.code === 'MixedHistories') return mixed(files, error)
  if (empty !== undefined && fault instanceof LtxError && fault.code === 'Unencodable') {
    const { key } = empty
    const message = `The database is empty at the end of ${key}, which a merged file cannot express.`
    return new CompactionError('Unmergeable', key, message, { cause: error })
  }
  return error
}

/** The fault of an input, somewhere in the chain of causes: a put wraps the errors of its body. */
function faultOf(error: unknown): LtxError | ReplicaError | Error | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof LtxError || at instanceof ReplicaError) return at
    if (isStoreError(at) && (at.code === 'Corrupted' || isArchived(at))) return at
  }
  return undefined
}

/** An intact object, and the state of the database after it. */
interface Examined {
  readonly file: LtxFileInfo
  readonly commit: number
  /** Checksum of the database, if the object carries one. */
  readonly checksum: bigint | undefined
}

/** @param before the object before this one, if there is one */
async function examine(
  client: ReplicaClient,
  file: LtxFileInfo,
  before: Examined | undefined,
  signal: AbortSignal,
): Promise<Examined | CompactionError> {
  const decoder = new LtxObjectDecoder(file)
  const commit = before?.commit
  let header: LtxHeader
  let checksums: DatabaseChecksums | undefined
  let grown = 0
  let held = 0
  try {
    for await (const chunk of client.open(file, { signal })) {
      for (const pages of decoder.write(chunk)) {
        held += pages.length
        grown += pages.filter(({ pgno }) => pgno > (commit ?? 0)).length
      }
    }
    ;({ header, checksums } = decoder.end())
  } catch (cause) {
    signal.throwIfAborted()
    const fault = faultOf(cause)
    if (fault === undefined) throw cause
    if (isArchived(fault)) {
      const message = `The object ${file.key} is in an archive tier and cannot be read now.`
      return new CompactionError('ArchivedObject', file.key, message, { cause })
    }
    const gone = fault instanceof ReplicaError && fault.code === 'MissingObject'
    const message = gone ? fault.message : `The object ${file.key} is damaged: ${fault.message}`
    return new CompactionError(gone ? 'MissingObject' : 'DamagedObject', file.key, message, {
      cause,
    })
  }
  if (commit !== undefined && grown < growth(commit, header.commit, lockPage(header.pageSize))) {
    const message = `In ${file.key} the database grows from ${commit} to ${header.commit} pages, but the object does not hold all of them.`
    return new CompactionError('MissingPage', file.key, message)
  }
  const isWhole = held === growth(0, header.commit, lockPage(header.pageSize))
  const isNext = before !== undefined && before.file.maxTxid + 1n === file.minTxid
  if (isNext && !isWhole && differ(before.checksum, checksums?.before)) {
    const message = `The object ${file.key} does not start from the state of the database that ${before.file.key}, the object before it, ends with.`
    return new CompactionError('ChecksumMismatch', file.key, message)
  }
  return { file, commit: header.commit, checksum: checksums?.after }
}

function differ(a: bigint | undefined, b: bigint | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b
}

/**
 * Neighbouring objects agree as far as they have checksums, but the result has another checksum
 * than the last one records.
 */
function mixed(files: readonly LtxFileInfo[], cause: unknown): CompactionError {
  const [first, last] = [files[0]!.key, files.at(-1)!.key]
  const message = `Each of the objects from ${first} to ${last} is intact, but together they do not produce the checksum that the last one records: one of them belongs to another history.`
  return new CompactionError('ChecksumMismatch', last, message, { cause })
}

/** Pages that a growing database gains; the lock page is in no file. */
function growth(before: number, after: number, lock: number): number {
  return Math.max(0, after - before) - (before < lock && lock <= after ? 1 : 0)
}

/**
 * An object that prevents others from being merged, confirmed by a second read. Nothing was written
 * or deleted.
 */
export class CompactionError extends ReplicaError {
  override readonly name = 'CompactionError'
}
