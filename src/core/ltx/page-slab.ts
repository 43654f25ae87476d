const MAX_SLAB_SIZE = 64 * 1024

/** The most that is recycled, in bytes; the rest is left to the garbage collector. */
const MAX_RECYCLED_SIZE = 1024 * 1024

/**
 * Hands out memory for pages, several from one allocation. A page that is kept alive holds at most
 * 64 KiB. Slabs start with one page, for the usual one-page file.
 */
export class PageSlab {
  readonly #pageSize: number
  #slab = new Uint8Array(0)
  #at = 0
  /** Pages to be handed out again: all up to the bound once `recycle` was called. */
  #recycled: Uint8Array[] = []
  #taken = 0
  #recycles = false

  constructor(pageSize: number) {
    this.#pageSize = pageSize
  }

  /** Makes all pages available again: those taken before are no longer needed. */
  recycle(): void {
    this.#taken = 0
    this.#recycles = true
  }

  take(): Uint8Array {
    const recycled = this.#recycled[this.#taken++]
    if (recycled !== undefined) return recycled
    const page = this.#fresh()
    if (this.#recycles && this.#taken * this.#pageSize <= MAX_RECYCLED_SIZE) {
      this.#recycled.push(page)
    }
    return page
  }

  #fresh(): Uint8Array {
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
