import { type DatabaseChecksums, type LtxHeader, lockPage, type TXID } from '../ltx/index.ts'

/** What the content of an intact file says about the states that it contributes to. */
export interface FileFacts {
  readonly minTxid: TXID
  readonly maxTxid: TXID
  /** In bytes. */
  readonly pageSize: number
  /** Size of the database after it, in pages. */
  readonly commit: number
  /** Does it hold every page of the database? Then a restore reads nothing older. */
  readonly complete: boolean
  /**
   * It holds every page from here to `commit`, so it can follow any database with at least one page
   * less than this.
   */
  readonly tailFrom: number
  /** Of its header, in milliseconds since 1970. */
  readonly timestamp: number
  /** Of the whole database before and after it. */
  readonly checksums?: DatabaseChecksums | undefined
}

/** Collects the facts of one file from its pages, in ascending order. */
export class FactGatherer {
  readonly #header: LtxHeader
  readonly #lockPage: number
  #pages = 0
  #last = 0
  /** First page of the contiguous run that ends with the last page. */
  #runFrom = 1

  constructor(header: LtxHeader) {
    this.#header = header
    this.#lockPage = lockPage(header.pageSize)
  }

  add(pgno: number): void {
    if (pgno !== this.#after(this.#last)) this.#runFrom = pgno
    this.#last = pgno
    this.#pages++
  }

  facts(checksums?: DatabaseChecksums): FileFacts {
    const { minTxid, maxTxid, pageSize, commit, timestamp } = this.#header
    const end = commit === this.#lockPage ? commit - 1 : commit
    const runFrom = this.#last === end ? this.#runFrom : end + 1
    return {
      minTxid,
      maxTxid,
      pageSize,
      commit,
      timestamp,
      checksums,
      complete: this.#pages === (this.#lockPage <= commit ? commit - 1 : commit),
      // No file has the lock page, so it is never missing.
      tailFrom: runFrom - 1 === this.#lockPage ? this.#lockPage : runFrom,
    }
  }

  #after(pgno: number): number {
    return pgno + 1 === this.#lockPage ? pgno + 2 : pgno + 1
  }
}

/**
 * Why a file cannot be applied to the state that `before` ends with; `undefined` if it can. A file
 * that begins with TXIDs of `before` starts from an earlier state, whose checksum says nothing here.
 */
export function misfit(
  file: FileFacts,
  before: FileFacts,
): 'PageSizeChange' | 'MissingPages' | 'ChecksumMismatch' | undefined {
  if (file.complete) return undefined
  if (file.pageSize !== before.pageSize) return 'PageSizeChange'
  if (file.tailFrom > before.commit + 1) return 'MissingPages'
  if (file.minTxid !== before.maxTxid + 1n) return undefined
  const left = before.checksums?.after
  const right = file.checksums?.before
  return left !== undefined && right !== undefined && left !== right
    ? 'ChecksumMismatch'
    : undefined
}
