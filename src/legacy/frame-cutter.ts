/** A whole frame within larger bytes. Valid until the next one is asked for. */
export interface CutFrame {
  readonly bytes: Uint8Array
  readonly at: number
}

/** Cuts bytes that come in pieces of any length into frames of one size. */
export class FrameCutter {
  readonly #rest: Uint8Array
  #length = 0

  /** @param frameSize In bytes. */
  constructor(frameSize: number) {
    this.#rest = new Uint8Array(frameSize)
  }

  /** The frames that the next bytes complete. What is left over is kept for the next call. */
  *cut(bytes: Uint8Array): Generator<CutFrame, void, void> {
    const size = this.#rest.length
    let at = 0
    if (this.#length > 0) {
      at = Math.min(size - this.#length, bytes.length)
      this.#keep(bytes.subarray(0, at))
      if (this.#length < size) return
      this.#length = 0
      yield { bytes: this.#rest, at: 0 }
    }
    for (; at + size <= bytes.length; at += size) yield { bytes, at }
    this.#keep(bytes.subarray(at))
  }

  #keep(bytes: Uint8Array): void {
    this.#rest.set(bytes, this.#length)
    this.#length += bytes.length
  }
}
