/** Cuts a stream of bytes into lines of UTF-8 text, without the newline, up to a length. */
export class LineSplitter {
  readonly #maxBytes: number
  #held: Buffer[] = []
  #length = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** @returns the lines that end in this chunk; `undefined` once a line is longer than allowed */
  push(chunk: Buffer): string[] | undefined {
    const lines: string[] = []
    let start = 0
    for (;;) {
      const end = chunk.indexOf(0x0a, start)
      const part = chunk.subarray(start, end === -1 ? undefined : end)
      this.#length += part.length
      if (this.#length > this.#maxBytes) return undefined
      if (part.length > 0) this.#held.push(part)
      if (end === -1) return lines
      lines.push(Buffer.concat(this.#held).toString('utf8'))
      this.#held = []
      this.#length = 0
      start = end + 1
    }
  }
}
