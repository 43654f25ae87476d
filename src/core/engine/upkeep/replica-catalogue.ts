import type { TXID } from '../../ltx/index.ts'
import type { LtxFileInfo } from '../../replica/replica-client.ts'
import type { ReplicaLayout } from '../../replica/replica-layout.ts'
import { type ReplicaSummary, summarizeReplica } from '../../replica/summarize-replica.ts'
import type { DatabaseStatus, DatedRestorePoint } from '../replication-status.ts'
import { FileTable } from './file-table.ts'

/**
 * The files of a replica as its only writer knows them, without asking the store again: one
 * listing, and since then its own puts and deletions. Changes by other processes do not show.
 */
export class ReplicaCatalogue {
  readonly #layout: ReplicaLayout
  readonly #tables = new Map<number, FileTable>()
  #bytes = 0
  #count = 0
  #version = 0
  #summary: { readonly version: number; readonly value: ReplicaSummary } | undefined

  constructor(layout: ReplicaLayout) {
    this.#layout = layout
  }

  /** Increases with every change, so that others can see whether their results are still valid. */
  get version(): number {
    return this.#version
  }

  /** Sum of the files' sizes. */
  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#count
  }

  /**
   * All files in the order of a listing: by level, first and last TXID. A new array with each call.
   */
  get files(): LtxFileInfo[] {
    const levels = [...this.#tables.keys()].sort((a, b) => a - b)
    return levels.flatMap((level) => {
      const table = this.#tables.get(level) as FileTable
      return Array.from({ length: table.length }, (_, row) => table.get(row))
    })
  }

  /** Range of TXIDs that can be restored, gaps and totals. */
  get summary(): ReplicaSummary {
    if (this.#summary?.version !== this.#version) {
      this.#summary = { version: this.#version, value: summarizeReplica(this.files) }
    }
    return this.#summary.value
  }

  /**
   * Replaces everything with a complete listing.
   *
   * @param before the files when the listing began: it may lack what was added since, and still
   *   have what was removed
   */
  loadListing(files: readonly LtxFileInfo[], before?: readonly LtxFileInfo[]): void {
    const now = before === undefined ? [] : this.files
    const [added, removed] = [without(now, before ?? []), without(before ?? [], now)]
    this.#tables.clear()
    this.#bytes = 0
    this.#count = 0
    this.#version++
    for (const file of files) this.add(file)
    for (const file of added) this.add(file)
    this.remove(removed)
  }

  add(file: LtxFileInfo): void {
    let table = this.#tables.get(file.level)
    if (table === undefined) {
      table = new FileTable(this.#layout, file.level)
      this.#tables.set(file.level, table)
    }
    const before = table.set(file)
    this.#bytes += file.size - (before ?? 0)
    if (before === undefined) this.#count++
    this.#version++
  }

  remove(files: readonly LtxFileInfo[]): void {
    for (const { level, minTxid, maxTxid } of files) {
      const size = this.#tables.get(level)?.delete(minTxid, maxTxid)
      if (size === undefined) continue
      this.#bytes -= size
      this.#count--
      this.#version++
    }
  }
}

function without(files: readonly LtxFileInfo[], others: readonly LtxFileInfo[]): LtxFileInfo[] {
  const keys = new Set(others.map(({ key }) => key))
  return files.filter(({ key }) => !keys.has(key))
}

/** First and last state that can be restored according to the catalogue. */
export function restorableOf({ summary, files }: ReplicaCatalogue): DatabaseStatus['restorable'] {
  const { restorable } = summary
  if (restorable === undefined) return undefined
  const at = (txid: TXID): DatedRestorePoint | undefined => {
    const file = files.find(({ maxTxid }) => maxTxid === txid)
    return file && { txid, time: file.createdAt ?? file.lastModified }
  }
  const [from, to] = [at(restorable.from), at(restorable.to)]
  return from && to && { from, to }
}
