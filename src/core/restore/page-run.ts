import { writeSync } from 'node:fs'

/** Adjacent pages are combined up to this many bytes. */
export const RUN_BYTES = 1024 * 1024

/** Adjacent pages of a file, copied together to be written at once. */
export class PageRun {
  /** In bytes. */
  readonly pageSize: number
  #memory = new Uint8Array(RUN_BYTES)
  #position = 0
  #length = 0

  constructor(pageSize: number) {
    this.pageSize = pageSize
  }

  /** In bytes. */
  get length(): number {
    return this.#length
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#memory.subarray(0, this.#length)
  }

  /** Where the run begins in the file, in bytes. */
  get position(): number {
    return this.#position
  }

  /** Does the run have room for this page, and end where it begins? */
  takes(pgno: number): boolean {
    if (this.#length === 0) return true
    const end = this.#position + this.#length
    return end === this.#positionOf(pgno) && this.#length + this.pageSize <= RUN_BYTES
  }

  /** Adds a page that the run takes. */
  add(pgno: number, data: Uint8Array): void {
    if (this.#length === 0) this.#position = this.#positionOf(pgno)
    this.#memory.set(data, this.#length)
    this.#length += data.length
  }

  /** Starts anew, in other memory if the old one is still in use. */
  restart(memory: Uint8Array<ArrayBuffer> = this.#memory): void {
    this.#memory = memory
    this.#length = 0
  }

  /** Writes the run, and starts anew. */
  writeSync(fd: number): void {
    let done = 0
    while (done < this.#length) {
      const left = this.#length - done
      done += writeSync(fd, this.#memory, done, left, this.#position + done)
    }
    this.#length = 0
  }

  #positionOf(pgno: number): number {
    return (pgno - 1) * this.pageSize
  }
}
