/** Which pages of a database are written: one bit a page, so 32 MiB for 1 TiB of 4 KiB pages. */
export class PageSet {
  readonly #bits: Uint8Array
  readonly #pages: number
  #size = 0

  /** @param pages highest page number that may be added */
  constructor(pages: number) {
    this.#pages = pages
    this.#bits = new Uint8Array(Math.floor(pages / 8) + 1)
  }

  /** Number of pages in the set. */
  get size(): number {
    return this.#size
  }

  /** Adds a page; `false` if it was there. Page numbers start at 1. */
  add(pgno: number): boolean {
    const index = pgno >>> 3
    const bit = 1 << (pgno & 7)
    const byte = this.#bits[index]
    if (byte === undefined) throw new RangeError(`Page ${pgno} is beyond ${this.#pages}.`)
    if ((byte & bit) !== 0) return false
    this.#bits[index] = byte | bit
    this.#size++
    return true
  }

  /** Lowest page from 1 on that is missing, other than `except`; `undefined` if none is. */
  firstMissing(except: number): number | undefined {
    for (let pgno = 1; pgno <= this.#pages; pgno++) {
      const has = ((this.#bits[pgno >>> 3] as number) & (1 << (pgno & 7))) !== 0
      if (!has && pgno !== except) return pgno
    }
    return undefined
  }
}
