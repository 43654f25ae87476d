import type { TXID } from '../ltx/index.ts'
import { type CallOptions, type ObjectInfo, type ObjectStore, StoreError } from '../store/index.ts'
import {
  levelFolder,
  otherLayout,
  parseLtxKey,
  type ReplicaLayout,
  SNAPSHOT_LEVEL,
} from './replica-layout.ts'
import type { EpochObject } from './writer-claim/claim-records.ts'
import { toEpochObject } from './writer-claim/claim-store.ts'

/** One LTX file of a replica, from a listing. */
export interface LtxFileInfo {
  readonly level: number
  readonly minTxid: TXID
  readonly maxTxid: TXID
  /** Relative to the replica's prefix. */
  readonly key: string
  /** In bytes. */
  readonly size: number
  /** Time of the file's last transaction; `undefined` if the store does not list it. */
  readonly createdAt: Date | undefined
  /** By the store's clock, often in whole seconds: for grace periods, never for ordering. */
  readonly lastModified: Date
}

/** One listing of a replica. */
export interface ReplicaListing {
  readonly files: LtxFileInfo[]
  /** Claims of writers, their ends and unlocks, in key order. */
  readonly epochs: EpochObject[]
  /** Latest `lastModified` of any object: the store's clock is at least that far. */
  readonly storeNow: Date
  /** Number of objects in the level folders that are not LTX files. */
  readonly foreign: number
}

/**
 * Lists a replica once.
 *
 * @param layout preferred; the other one counts if only it has files
 * @returns with the layout that counts
 * @throws StoreError `InvalidKey` if a folder of the replica was replaced by a file
 */
export async function readListing(
  store: ObjectStore,
  layout: ReplicaLayout,
  options: CallOptions,
): Promise<ReplicaListing & { readonly layout: ReplicaLayout }> {
  const own = new LayoutListing(layout)
  const other = new LayoutListing(otherLayout(layout))
  const epochs: EpochObject[] = []
  let storeNow = new Date(0)
  for await (const object of store.list({ signal: options.signal })) {
    if (object.lastModified > storeNow) storeNow = object.lastModified
    const epoch = toEpochObject(object)
    if (epoch !== undefined) epochs.push(epoch)
    own.add(object)
    other.add(object)
  }
  const found = own.files.length === 0 && other.files.length > 0 ? other : own
  const { files, foreign, replaced } = found
  if (replaced !== undefined && !store.capabilities.flatNamespace) {
    throw notAFolder(store, replaced)
  }
  return { files: files.sort(compareFiles), epochs, storeNow, foreign, layout: found.layout }
}

/** Level, then first TXID, then last TXID. */
export function compareFiles(a: LtxFileInfo, b: LtxFileInfo): number {
  if (a.level !== b.level) return a.level - b.level
  if (a.minTxid !== b.minTxid) return a.minTxid < b.minTxid ? -1 : 1
  if (a.maxTxid !== b.maxTxid) return a.maxTxid < b.maxTxid ? -1 : 1
  return 0
}

/** What a listing shows to a reader of one layout. */
class LayoutListing {
  readonly layout: ReplicaLayout
  readonly files: LtxFileInfo[] = []
  foreign = 0
  /** An object with the name of a folder of this layout: where folders are real, it has replaced one. */
  replaced: string | undefined
  readonly #folders: readonly string[]

  constructor(layout: ReplicaLayout) {
    this.layout = layout
    this.#folders = Array.from(
      { length: SNAPSHOT_LEVEL + 1 },
      (_, level) => `${levelFolder(layout, level)}/`,
    )
  }

  add(object: ObjectInfo): void {
    const file = fileInfo(this.layout, object)
    if (file !== undefined) this.files.push(file)
    else if (this.#folders.some((folder) => object.key.startsWith(folder))) this.foreign++
    else if (this.#folders.some((folder) => folder.startsWith(`${object.key}/`))) {
      this.replaced = object.key
    }
  }
}

/** What the folder held is missing in the listing, which would look complete. */
function notAFolder({ description }: ObjectStore, key: string): StoreError {
  return new StoreError('InvalidKey', `${key} in ${description} is not a folder.`, {
    op: 'list',
    key,
    hint: 'A folder of the replica was replaced by a file. Put the folder back, or use another replica.',
  })
}

/** `undefined` for an object that is not an LTX file of this layout. */
export function fileInfo(layout: ReplicaLayout, object: ObjectInfo): LtxFileInfo | undefined {
  const parsed = parseLtxKey(layout, object.key)
  if (parsed === undefined) return undefined
  const { key, size, createdAt, lastModified } = object
  return { ...parsed, key, size, createdAt, lastModified }
}
