import type { SourceDatabase } from '../../db/index.ts'
import { decodeLtx, LtxError, lockPage, pageHash } from '../../ltx/index.ts'
import { type ReplicaClient, ReplicaError } from '../../replica/replica-client.ts'
import type { ReplicaHead } from '../../replica/replica-head.ts'
import { endAtPosition } from '../capture/ltx-file.ts'
import type { ReplicaWriter } from '../upload/replica-writer.ts'
import { changedPages, type PageChecksums } from './page-checksums.ts'

/**
 * Only databases up to this size are closed while idle, because opening them again may mean reading
 * them completely on the event loop. More changes than this lead to a new base.
 */
export const MAX_IDLE_BYTES = 16 << 20

/** How a database continues that was idle. */
export interface AfterRest {
  /** The WAL continues the remembered state. */
  readonly proven: boolean
  /** Number of pages that differ from the remembered state and were queued. */
  readonly pages: number
  /** Why a new base is needed. */
  readonly baseReason: string | undefined
}

/**
 * Continues the replication of a database that was idle. If the WAL does not prove that it
 * continues the remembered state, all pages are compared, and those that differ become the next
 * change. The replica must end with the remembered state, and nothing may be pending.
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
  // The log does not show whether the main file was replaced while the database was idle.
  const end = isMainFileChanged ? undefined : endAtPosition(position, pageSize, bootId)
  if (end && capture.resume(end, position.commit, bootId).proven) {
    return { proven: true, pages: 0, baseReason: undefined }
  }
  const needsBase = (baseReason: string) => ({ proven: false, pages: 0, baseReason })
  if (pageSize !== source.pageSize) return needsBase('the page size has changed')
  const view = await capture.pinFullView(signal)
  const changed = changedPages(source, view, rested, MAX_IDLE_BYTES)
  if (changed === undefined) return needsBase('too much has changed while the database was idle')
  if (changed.length > 0) writer.queuePages(source, view, changed)
  return { proven: false, pages: changed.length, baseReason: undefined }
}

/**
 * Is the replica's newest file a full copy of the remembered state? Then its writer copied this
 * very database while it was idle: a one-shot snapshot that could not prove continuity by the WAL,
 * because an idle database has none.
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
      pages.every(({ pgno, data }) => pageHash(pgno, data) === sums[pgno - 1])
    )
  } catch (error) {
    if (error instanceof LtxError || error instanceof ReplicaError) return false
    throw error
  }
}
