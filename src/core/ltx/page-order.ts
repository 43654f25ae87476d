import { lockPage } from './lock-page.ts'
import { LtxError } from './ltx-error.ts'
import { isSnapshot, type LtxHeader } from './ltx-header.ts'

/**
 * The rules for the sequence of pages in one file: ascending, at most `commit`, never the lock page,
 * and in a snapshot without a gap.
 */
export class PageOrder {
  readonly #commit: number
  readonly #lockPage: number
  readonly #snapshot: boolean
  #last = 0

  constructor(header: LtxHeader) {
    this.#commit = header.commit
    this.#lockPage = lockPage(header.pageSize)
    this.#snapshot = isSnapshot(header)
  }

  /** Throws `InvalidPage`, `OutOfOrder` or `MissingPage` if `pgno` may not come next. */
  accept(pgno: number): void {
    if (!Number.isInteger(pgno) || pgno < 1 || pgno > this.#commit) {
      throw new LtxError(
        'InvalidPage',
        `Page ${pgno} lies outside the database of ${this.#commit} pages.`,
      )
    }
    if (pgno === this.#lockPage) {
      throw new LtxError('InvalidPage', `Page ${pgno} is the lock page, which LTX never contains.`)
    }
    if (pgno <= this.#last) {
      throw new LtxError('OutOfOrder', `Page ${pgno} follows page ${this.#last}.`)
    }
    if (this.#snapshot && pgno !== this.#next()) throw this.#missing()
    this.#last = pgno
  }

  /** Throws `MissingPage` if a snapshot ends before its last page. */
  complete(): void {
    if (this.#snapshot && this.#next() <= this.#commit) throw this.#missing()
  }

  #next(): number {
    const next = this.#last + 1
    return next === this.#lockPage ? next + 1 : next
  }

  #missing(): LtxError {
    return new LtxError(
      'MissingPage',
      `The snapshot of ${this.#commit} pages does not contain page ${this.#next()}.`,
    )
  }
}
