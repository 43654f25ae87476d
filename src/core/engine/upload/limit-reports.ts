import type { Emit } from '../events.ts'
import type { Spool } from './spool.ts'

/** Tells once, not at every look, that the WAL or the spool of a database has outgrown its bound. */
export class LimitReports {
  readonly #emit: Emit
  #overLimit = false
  #spoolFull = false

  constructor(emit: Emit) {
    this.#emit = emit
  }

  /** The WAL is small again. */
  walIsSmall(): void {
    this.#overLimit = false
  }

  /** The WAL cannot be checkpointed now. */
  walIsStuck(walBytes: number, maxWalBytes: number): void {
    if (walBytes < maxWalBytes || this.#overLimit) return
    this.#overLimit = true
    const reason = 'another connection holds a read or write transaction open'
    this.#emit({ type: 'wal-over-limit', walBytes, reason })
  }

  /** Has the spool no room for so many bytes more? */
  isSpoolFull(spool: Spool, walBytes: number): boolean {
    const full = spool.bytes + walBytes > spool.maxBytes
    if (full && !this.#spoolFull) {
      this.#emit({ type: 'spool-full', spoolBytes: spool.bytes, maxBytes: spool.maxBytes })
    }
    this.#spoolFull = full
    return full
  }
}
