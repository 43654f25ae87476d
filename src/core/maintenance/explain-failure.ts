import { LtxDecoder, LtxError, lockPage } from '../ltx/index.ts'
import {
  assertHeaderOf,
  type LtxFileInfo,
  type ReplicaClient,
  ReplicaError,
} from '../replica/replica-client.ts'
import { isStoreError } from '../store/index.ts'
import { MaintenanceError } from './maintenance-error.ts'

/** Decoded at a time; a page can be 255 times its payload, so this bounds what one step makes. */
const SLICE_BYTES = 64 * 1024

/**
 * Finds out which object made a merge fail, by reading each of them again on its own: what is
 * intact this time was only damaged on its way.
 *
 * @returns a `MaintenanceError` that names the object, or the error itself if none is to blame
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
    return new MaintenanceError('MissingObject', fault.key, fault.message, { cause: error })
  }
  let commit: number | undefined
  let empty: LtxFileInfo | undefined
  for (const file of files) {
    const found = await examine(client, file, commit, signal)
    if (found instanceof MaintenanceError) return found
    commit = found.commit
    if (commit === 0) empty = file
  }
  if (empty !== undefined && fault instanceof LtxError && fault.code === 'Unencodable') {
    const { key } = empty
    const message = `The database is empty at the end of ${key}, which no merged file can say.`
    return new MaintenanceError('Unmergeable', key, message, { cause: error })
  }
  return error
}

/** What is wrong with an input, somewhere among the causes: a put wraps the errors of its body. */
function faultOf(error: unknown): LtxError | ReplicaError | Error | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof LtxError || at instanceof ReplicaError) return at
    if (isStoreError(at) && at.code === 'Corrupted') return at
  }
  return undefined
}

/**
 * @param commit pages of the database before this file, if that is known
 * @returns pages of the database after it
 */
async function examine(
  client: ReplicaClient,
  file: LtxFileInfo,
  commit: number | undefined,
  signal: AbortSignal,
): Promise<{ readonly commit: number } | MaintenanceError> {
  const decoder = new LtxDecoder()
  let grown = 0
  try {
    for await (const chunk of client.open(file, { signal })) {
      for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
        const pages = decoder.write(chunk.subarray(at, at + SLICE_BYTES))
        grown += pages.filter(({ pgno }) => pgno > (commit ?? 0)).length
      }
    }
    decoder.end()
    assertHeaderOf(file, decoder.header!)
  } catch (cause) {
    signal.throwIfAborted()
    const fault = faultOf(cause)
    if (fault === undefined) throw cause
    const gone = fault instanceof ReplicaError && fault.code === 'MissingObject'
    const message = gone ? fault.message : `The object ${file.key} is damaged: ${fault.message}`
    return new MaintenanceError(gone ? 'MissingObject' : 'DamagedObject', file.key, message, {
      cause,
    })
  }
  const header = decoder.header!
  if (commit !== undefined && grown < growth(commit, header.commit, lockPage(header.pageSize))) {
    const message = `By ${file.key} the database grew from ${commit} to ${header.commit} pages, and the object does not hold all of them.`
    return new MaintenanceError('MissingPage', file.key, message)
  }
  return header
}

/** Pages that a growing database gains; the lock page is in no file. */
function growth(before: number, after: number, lock: number): number {
  return Math.max(0, after - before) - (before < lock && lock <= after ? 1 : 0)
}
