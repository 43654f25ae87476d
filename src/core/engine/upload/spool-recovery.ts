import { LtxError } from '../../ltx/index.ts'
import type { ReplicaHead } from '../locate.ts'
import { type PendingFile, setSpooled } from './shipper.ts'
import type { Spool } from './spool.ts'

/** What an earlier process left in its spool. */
export interface RecoveredSpool {
  /** To be shipped next, in order. */
  readonly files: readonly PendingFile[]
  /** Why what is there is of no use; `undefined` if all of it is, or nothing is there. */
  readonly unused: string | undefined
}

/**
 * Files of the spool count if they follow the replica's end without a gap and the same process wrote
 * that end. Those that the replica has already are removed.
 */
export async function recoverSpool(spool: Spool, head: ReplicaHead): Promise<RecoveredSpool> {
  let found: Awaited<ReturnType<Spool['load']>>
  try {
    found = await spool.load()
  } catch (error) {
    if (!(error instanceof LtxError)) throw error
    return { files: [], unused: `a file of it is damaged: ${error.message}` }
  }
  const { txid, header } = head
  const waiting = found.filter(({ file }) => txid === undefined || file.txid > txid)
  for (const { file } of found) {
    if (txid !== undefined && file.txid <= txid) await spool.remove(file)
  }
  const continues = waiting.every(
    (each, i) =>
      txid !== undefined &&
      each.file.txid === txid + BigInt(i) + 1n &&
      each.header.nodeId === header?.nodeId,
  )
  if (!continues) return { files: [], unused: 'it does not continue the replica' }
  const files = waiting.map(({ file, header }) => {
    const noticedAt = header.timestamp
    const pending: PendingFile = { txid: file.txid, header, pages: 0, noticedAt, body: NOTHING }
    setSpooled(pending, file)
    return pending
  })
  return { files, unused: undefined }
}

const NOTHING = new Uint8Array()
