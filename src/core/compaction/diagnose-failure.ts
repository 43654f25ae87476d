import { type DatabaseChecksums, LtxError, type LtxHeader, lockPage } from '../ltx/index.ts'
import { LtxObjectDecoder } from '../replica/ltx-object-decoder.ts'
import { type LtxFileInfo, type ReplicaClient, ReplicaError } from '../replica/replica-client.ts'
import { isArchived, isStoreError } from '../store/index.ts'

/**
 * Finds out which object made a merge fail, by reading each of them again on its own: what is
 * intact this time was only damaged on its way.
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
  if (fault instanceof LtxError && fault.code === 'ChecksumMismatch') return mixed(files, error)
  if (empty !== undefined && fault instanceof LtxError && fault.code === 'Unencodable') {
    const { key } = empty
    const message = `The database is empty at the end of ${key}, which no merged file can say.`
    return new CompactionError('Unmergeable', key, message, { cause: error })
  }
  return error
}

/** What is wrong with an input, somewhere among the causes: a put wraps the errors of its body. */
function faultOf(error: unknown): LtxError | ReplicaError | Error | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof LtxError || at instanceof ReplicaError) return at
    if (isStoreError(at) && (at.code === 'Corrupted' || isArchived(at))) return at
  }
  return undefined
}

/** A sound object, and what the database is after it. */
interface Examined {
  readonly file: LtxFileInfo
  readonly commit: number
  /** Checksum of the database, if the object notes it. */
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
    const message = `By ${file.key} the database grew from ${commit} to ${header.commit} pages, and the object does not hold all of them.`
    return new CompactionError('MissingPage', file.key, message)
  }
  const isWhole = held === growth(0, header.commit, lockPage(header.pageSize))
  const isNext = before !== undefined && before.file.maxTxid + 1n === file.minTxid
  if (isNext && !isWhole && differ(before.checksum, checksums?.before)) {
    const message = `The object ${file.key} changes another state of the database than ${before.file.key} before it leaves.`
    return new CompactionError('ChecksumMismatch', file.key, message)
  }
  return { file, commit: header.commit, checksum: checksums?.after }
}

function differ(a: bigint | undefined, b: bigint | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b
}

/** Neighbours agree as far as they say anything, and the result is another database than the last one notes. */
function mixed(files: readonly LtxFileInfo[], cause: unknown): CompactionError {
  const [first, last] = [files[0]!.key, files.at(-1)!.key]
  const message = `The objects from ${first} to ${last} are sound one by one, and together make another database than the last one notes: one of them is of another history.`
  return new CompactionError('ChecksumMismatch', last, message, { cause })
}

/** Pages that a growing database gains; the lock page is in no file. */
function growth(before: number, after: number, lock: number): number {
  return Math.max(0, after - before) - (before < lock && lock <= after ? 1 : 0)
}

/** An object that keeps others from being merged, confirmed by a second read. Nothing was written or deleted. */
export class CompactionError extends ReplicaError {
  override readonly name = 'CompactionError'
}
