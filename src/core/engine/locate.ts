import type { LtxHeader, TXID } from '../ltx/index.ts'
import type { LtxFileInfo, ReplicaClient } from '../replica/replica-client.ts'
import { ReplicaError } from '../replica/replica-error.ts'
import type { CallOptions } from '../store/index.ts'

/** Where a replica's history ends. */
export interface ReplicaHead {
  /** Newest TXID of any level; `undefined` for a replica without files. */
  readonly txid: TXID | undefined
  /** Header of a file that ends there; `undefined` if it cannot be read as one. */
  readonly header: LtxHeader | undefined
  readonly files: readonly LtxFileInfo[]
}

/**
 * Finds a replica's end by one listing and one ranged read. The newest TXID is taken over all
 * levels: after retention only a compacted file or a snapshot may hold it.
 *
 * @throws StoreError
 */
export async function locateHead(
  client: ReplicaClient,
  options: CallOptions,
): Promise<ReplicaHead> {
  const files = await client.list(options)
  let newest: LtxFileInfo | undefined
  for (const file of files) {
    if (newest === undefined || file.maxTxid > newest.maxTxid) newest = file
    // Level 0 says where in the WAL it ends; so do snapshots, and compactions do not.
    else if (file.maxTxid === newest.maxTxid && newest.level !== 0 && file.level === 9)
      newest = file
  }
  if (newest === undefined) return { txid: undefined, header: undefined, files }
  return { txid: newest.maxTxid, header: await readable(client, newest, options), files }
}

/** A damaged newest file proves nothing; it is left where it is, and a new base goes behind it. */
async function readable(
  client: ReplicaClient,
  file: LtxFileInfo,
  options: CallOptions,
): Promise<LtxHeader | undefined> {
  try {
    return await client.readHeader(file, options)
  } catch (error) {
    if (error instanceof ReplicaError) return undefined
    throw error
  }
}
