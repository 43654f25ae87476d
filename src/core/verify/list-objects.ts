import { compareFiles, type LtxFileInfo, type ReplicaClient } from '../replica/replica-client.ts'
import { levelFolder, parseLtxKey, SNAPSHOT_LEVEL } from '../replica/replica-layout.ts'
import type { CallOptions } from '../store/index.ts'

export interface ReplicaListing {
  /** By level, then first TXID, then last TXID. */
  readonly files: readonly LtxFileInfo[]
  /** Objects in the level folders that are no LTX files. */
  readonly foreign: number
}

/**
 * Lists a replica once, with what `ReplicaClient.list` leaves out.
 *
 * @throws StoreError
 */
export async function listObjects(
  client: ReplicaClient,
  options: CallOptions = {},
): Promise<ReplicaListing> {
  const { layout } = client
  const folders = Array.from({ length: SNAPSHOT_LEVEL + 1 }, (_, n) => `${levelFolder(layout, n)}/`)
  const files: LtxFileInfo[] = []
  let foreign = 0
  for await (const { key, size, createdAt, lastModified } of client.store.list(options)) {
    const name = parseLtxKey(layout, key)
    if (name !== undefined) files.push({ ...name, key, size, createdAt, lastModified })
    else if (folders.some((folder) => key.startsWith(folder))) foreign++
  }
  return { files: files.sort(compareFiles), foreign }
}
