const MAX_SLAB_SIZE = 64 * 1024

/**
 * Hands out memory for pages, several from one allocation. Pages are never reused; a page that is
 * kept alive holds at most 64 KiB. Slabs start with one page, for the usual one-page file.
 */
export class PageSlab {
  readonly #pageSize: number
  #slab = new Uint8Array(0)
  #at = 0

  constructor(pageSize: number) {
    this.#pageSize = pageSize
  }

  take(): Uint8Array {
    if (this.#at === this.#slab.length) {
      const larger = Math.min(2 * this.#slab.length, MAX_SLAB_SIZE)
      this.#slab = new Uint8Array(Math.max(this.#pageSize, larger))
      this.#at = 0
    }
    const start = this.#at
    this.#at += this.#pageSize
    return this.#slab.subarray(start, this.#at)
  }
}
