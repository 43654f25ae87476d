import { type TXID, txid } from '../../ltx/index.ts'
import type { LtxFileInfo } from '../../replica/replica-client.ts'
import { ltxKey, type ReplicaLayout } from '../../replica/replica-layout.ts'

/** First TXID, last TXID, size, creation and modification time. */
const FIELDS = 5
const FIRST_ROWS = 4

/**
 * The files of one level, by first and then last TXID, in 40 bytes each: a process that watches a
 * thousand databases keeps all their listings in memory as long as it runs.
 */
export class FileTable {
  readonly #layout: ReplicaLayout
  readonly #level: number
  #length = 0
  #numbers = new Float64Array(FIRST_ROWS * FIELDS)
  /** The same bytes as 64-bit integers, because TXIDs do not fit into a double. */
  #txids = new BigUint64Array(this.#numbers.buffer)

  constructor(layout: ReplicaLayout, level: number) {
    this.#layout = layout
    this.#level = level
  }

  get length(): number {
    return this.#length
  }

  get(row: number): LtxFileInfo {
    const at = row * FIELDS
    const [minTxid, maxTxid] = [txid(this.#txids[at]!), txid(this.#txids[at + 1]!)]
    const createdAt = this.#numbers[at + 3]!
    return {
      level: this.#level,
      minTxid,
      maxTxid,
      key: ltxKey(this.#layout, this.#level, minTxid, maxTxid),
      size: this.#numbers[at + 2]!,
      createdAt: Number.isNaN(createdAt) ? undefined : new Date(createdAt),
      lastModified: new Date(this.#numbers[at + 4]!),
    }
  }

  /** Adds or replaces a file. Returns its size before that, in bytes. */
  set(file: LtxFileInfo): number | undefined {
    const { row, found } = this.#find(file.minTxid, file.maxTxid)
    const before = found ? this.#numbers[row * FIELDS + 2] : undefined
    if (!found) this.#insert(row)
    const at = row * FIELDS
    this.#txids[at] = file.minTxid
    this.#txids[at + 1] = file.maxTxid
    this.#numbers[at + 2] = file.size
    this.#numbers[at + 3] = file.createdAt?.getTime() ?? Number.NaN
    this.#numbers[at + 4] = file.lastModified.getTime()
    return before
  }

  /** Returns the size of the removed file, in bytes. */
  delete(minTxid: TXID, maxTxid: TXID): number | undefined {
    const { row, found } = this.#find(minTxid, maxTxid)
    if (!found) return undefined
    const size = this.#numbers[row * FIELDS + 2]
    this.#numbers.copyWithin(row * FIELDS, (row + 1) * FIELDS, this.#length * FIELDS)
    this.#length--
    const rows = this.#numbers.length / FIELDS
    if (rows > FIRST_ROWS && this.#length * 4 <= rows) this.#resize()
    return size
  }

  #insert(row: number): void {
    if ((this.#length + 1) * FIELDS > this.#numbers.length) this.#resize()
    this.#numbers.copyWithin((row + 1) * FIELDS, row * FIELDS, this.#length * FIELDS)
    this.#length++
  }

  #resize(): void {
    const rows = Math.max(FIRST_ROWS, Math.ceil(this.#length * 1.5))
    const numbers = new Float64Array(rows * FIELDS)
    numbers.set(this.#numbers.subarray(0, this.#length * FIELDS))
    this.#numbers = numbers
    this.#txids = new BigUint64Array(numbers.buffer)
  }

  #find(minTxid: TXID, maxTxid: TXID): { readonly row: number; readonly found: boolean } {
    let low = 0
    let high = this.#length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare(middle, minTxid, maxTxid) < 0) low = middle + 1
      else high = middle
    }
    const found = low < this.#length && this.#compare(low, minTxid, maxTxid) === 0
    return { row: low, found }
  }

  #compare(row: number, minTxid: TXID, maxTxid: TXID): number {
    const min = this.#txids[row * FIELDS]!
    if (min !== minTxid) return min < minTxid ? -1 : 1
    const max = this.#txids[row * FIELDS + 1]!
    if (max !== maxTxid) return max < maxTxid ? -1 : 1
    return 0
  }
}
