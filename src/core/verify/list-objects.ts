import { compareFiles, type LtxFileInfo, type ReplicaClient } from '../replica/replica-client.ts'
import {
  levelFolder,
  otherLayout,
  parseLtxKey,
  type ReplicaLayout,
  SNAPSHOT_LEVEL,
} from '../replica/replica-layout.ts'
import type { CallOptions, ObjectInfo } from '../store/index.ts'

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
  const own = new LayoutListing(client.layout)
  const other = new LayoutListing(otherLayout(client.layout))
  for await (const object of client.store.list(options)) {
    own.add(object)
    other.add(object)
  }
  const isCopied = own.files.length === 0 && other.files.length > 0
  if (isCopied) client.adopt(other.layout)
  const { files, foreign } = isCopied ? other : own
  return { files: files.sort(compareFiles), foreign }
}

/** What a listing shows to a reader of one layout. */
class LayoutListing {
  readonly layout: ReplicaLayout
  readonly files: LtxFileInfo[] = []
  foreign = 0
  readonly #folders: readonly string[]

  constructor(layout: ReplicaLayout) {
    this.layout = layout
    this.#folders = Array.from(
      { length: SNAPSHOT_LEVEL + 1 },
      (_, level) => `${levelFolder(layout, level)}/`,
    )
  }

  add({ key, size, createdAt, lastModified }: ObjectInfo): void {
    const name = parseLtxKey(this.layout, key)
    if (name !== undefined) this.files.push({ ...name, key, size, createdAt, lastModified })
    else if (this.#folders.some((folder) => key.startsWith(folder))) this.foreign++
  }
}
