import type { LtxHeader, TXID } from '../ltx/index.ts'
import type { CallOptions } from '../store/index.ts'
import type { LtxFileInfo, ReplicaClient } from './replica-client.ts'
import { ReplicaError } from './replica-error.ts'
import type { EpochObject } from './writer-claim/claim-records.ts'

/** Where a replica's history ends. */
export interface ReplicaHead {
  /** Newest TXID of any level; `undefined` for a replica without files. */
  readonly txid: TXID | undefined
  /** Header of a file that ends there; `undefined` if it cannot be read as one. */
  readonly header: LtxHeader | undefined
  /** The file with that header, if it exists. */
  readonly newest: LtxFileInfo | undefined
  readonly files: readonly LtxFileInfo[]
  /** Claims of writers and their ends. */
  readonly epochs: readonly EpochObject[]
  /** Latest time of the store's own clock in the listing. */
  readonly storeNow: Date
}

/**
 * Finds the end of a replica with one listing and one ranged read. The newest TXID is taken over
 * all levels: after retention only a compacted file or a snapshot may hold it.
 *
 * @throws StoreError
 */
export async function readReplicaHead(
  client: ReplicaClient,
  options: CallOptions,
): Promise<ReplicaHead> {
  const { files, epochs, storeNow } = await client.listing(options)
  let newest: LtxFileInfo | undefined
  for (const file of files) {
    if (newest === undefined || file.maxTxid > newest.maxTxid) newest = file
    // Level-0 files and snapshots record where in the WAL they end; compactions do not.
    else if (file.maxTxid === newest.maxTxid && newest.level !== 0 && file.level === 9)
      newest = file
  }
  const header = newest && (await readable(client, newest, options))
  return { txid: newest?.maxTxid, header, newest, files, epochs, storeNow }
}

/**
 * A damaged newest file proves nothing. It stays where it is, and a new base is written after it.
 */
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
