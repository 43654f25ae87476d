import type { ReplicaSummary } from '../../core/replica/summarize-replica.ts'
import { type ForeignFormat, listLegacy } from '../../legacy/index.ts'
import { replicaStore } from '../composition/open-store.ts'
import type { FoundForeign } from './foreign-replicas.ts'
import { UNREADABLE } from './legacy-restore.ts'

/** A replica of walsync 0.1, as `list --json` prints it: the fields that every database has, and its own. */
export interface ListedLegacy extends ReplicaSummary {
  readonly name: string
  readonly format: 'walsync-0.1'
  /** WAL segments. */
  readonly segments: number
  /** Times in the names of the first and the last object; what of it can be restored shows only when it is read. */
  readonly stored: { readonly from: Date; readonly to: Date }
  /** Folder under the store, if it is not the name: put together with the end of the URL. */
  readonly folder: string | undefined
  readonly restorableTimes: undefined
}

/** A replica that walsync does not read. */
export interface ListedUnreadable {
  readonly name: string
  readonly format: Exclude<ForeignFormat, 'walsync-0.1'>
}

/**
 * Describes a replica of walsync 0.1 from names and sizes.
 *
 * @throws StoreError
 */
export async function describeLegacy(
  { name, opened, prefix, isGlued }: FoundForeign,
  signal: AbortSignal,
): Promise<ListedLegacy> {
  const { snapshots, segments } = await listLegacy(replicaStore(opened, prefix), { signal })
  const times = [
    ...snapshots.map(({ takenAt }) => takenAt.getTime()),
    ...segments.map(({ uploadedAt }) => uploadedAt.getTime()),
  ]
  const from = new Date(times.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY))
  const to = new Date(times.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY))
  return {
    name,
    format: 'walsync-0.1',
    files: snapshots.length + segments.length,
    snapshots: snapshots.length,
    segments: segments.length,
    bytes: [...snapshots, ...segments].reduce((sum, { size }) => sum + size, 0),
    newestTxid: undefined,
    newestAt: to,
    stored: { from, to },
    folder: isGlued ? prefix : undefined,
    restorable: undefined,
    restorableTimes: undefined,
    gaps: [],
  }
}

/** The lines below the table: what else there is to know of a database of another format. */
export function legacyNote({ name, folder, segments }: ListedLegacy): string {
  const place = folder === undefined ? '' : `, in the folder ${folder}/`
  const count = segments === 1 ? '1 WAL segment' : `${segments} WAL segments`
  return `${name}: a replica of walsync 0.1${place}, ${count}; walsync verify reads it and says what it is worth.`
}

export function unreadableNote({ name, format }: ListedUnreadable): string {
  const { what, hint } = UNREADABLE[format]
  return `${name}: a replica of ${what}, which walsync does not read; ${hint}.`
}
