import type { SourceDatabase } from '../../db/index.ts'
import { decodeLtx, LtxError, lockPage } from '../../ltx/index.ts'
import { type ReplicaClient, ReplicaError } from '../../replica/replica-client.ts'
import type { ReplicaHead } from '../../replica/replica-head.ts'
import { endAtPosition } from '../capture/ltx-file.ts'
import type { ReplicaWriter } from '../upload/replica-writer.ts'
import { changedPages, contentChecksum, type PageChecksums } from './page-checksums.ts'

/** A database up to this size may be let go: waking it may mean to read it whole, on the event loop. More changes than this make a new base. */
export const MAX_IDLE_BYTES = 16 << 20

/** How a database goes on that was let go. */
export interface AfterRest {
  /** The WAL continues what was remembered. */
  readonly proven: boolean
  /** Pages that differ from what was remembered, and are queued. */
  readonly pages: number
  /** Why only a new base will do. */
  readonly baseReason: string | undefined
}

/**
 * Goes on after a rest: where the WAL does not prove that it continues what was remembered, all
 * pages are compared, and those that differ are the next change. The replica must end with the
 * remembered state, and nothing may be pending.
 */
export async function reopenIdle(
  source: SourceDatabase,
  writer: ReplicaWriter,
  rested: PageChecksums,
  bootId: number,
  isMainFileChanged: boolean,
  signal: AbortSignal,
): Promise<AfterRest> {
  const { position, pageSize } = rested
  const { capture } = source
  // The log says nothing of a main file that was replaced while nobody looked.
  const end = isMainFileChanged ? undefined : endAtPosition(position, pageSize, bootId)
  if (end && capture.resume(end, position.commit, bootId).proven) {
    return { proven: true, pages: 0, baseReason: undefined }
  }
  const needsBase = (baseReason: string) => ({ proven: false, pages: 0, baseReason })
  if (pageSize !== source.pageSize) return needsBase('the page size has changed')
  const view = await capture.pinFullView(signal)
  const changed = changedPages(source, view, rested, MAX_IDLE_BYTES)
  if (changed === undefined) return needsBase('much has changed while the database was at rest')
  if (changed.length > 0) writer.queuePages(source, view, changed)
  return { proven: false, pages: changed.length, baseReason: undefined }
}

/**
 * Is the replica's newest file the remembered state in full? Then whoever wrote it copied this very
 * database while it was at rest: a one-shot snapshot that could prove nothing by the WAL, for a
 * database at rest has none.
 *
 * @throws StoreError; ReplicaError `MissingObject`, `ObjectChanged`
 */
export async function endsAsRemembered(
  client: ReplicaClient,
  { txid, header, files }: ReplicaHead,
  { sums, pageSize }: PageChecksums,
  signal: AbortSignal,
): Promise<boolean> {
  const file = files.find(({ level, maxTxid }) => level === 0 && maxTxid === txid)
  if (file === undefined || header?.commit !== sums.length) return false
  if (header.pageSize !== pageSize || file.size > 2 * MAX_IDLE_BYTES) return false
  const bytes = await client.read(file, { signal })
  try {
    const { pages } = decodeLtx(bytes)
    const whole = sums.length - (sums.length >= lockPage(pageSize) ? 1 : 0)
    return (
      pages.length === whole &&
      pages.every(({ pgno, data }) => contentChecksum(data) === sums[pgno - 1])
    )
  } catch (error) {
    if (error instanceof LtxError || error instanceof ReplicaError) return false
    throw error
  }
}
