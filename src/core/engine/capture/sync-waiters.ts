import type { CommittedEnd, WalCapture } from '../../db/index.ts'
import type { TXID } from '../../ltx/index.ts'

export interface SyncRequest {
  /**
   * `now`: ship immediately, regardless of the sync interval; `paced`: with the next upload that is
   * due.
   */
  readonly when: 'now' | 'paced'
  readonly signal?: AbortSignal | undefined
}

interface Waiter {
  readonly isUrgent: boolean
  /** What had been committed when the caller asked; `undefined` until that is known. */
  end: CommittedEnd | undefined
  /** The file that completes it; `undefined` until everything up to `end` is in a file. */
  txid: TXID | undefined
  /** Have the files been compared with what is open since the caller asked? */
  isChecked: boolean
  readonly settle: (
    outcome: { readonly txid: TXID | undefined } | { readonly error: unknown },
  ) => void
}

/**
 * Callers that wait until everything that was committed before they asked is in the store. The next
 * upload serves all that came while an upload was running.
 */
export class SyncWaiters {
  readonly #waiters = new Set<Waiter>()
  #ended: { readonly error: unknown } | undefined

  /**
   * Resolves with the newest TXID in the store.
   *
   * @param capture of the open database, if it can be used now
   */
  add({ when, signal }: SyncRequest, capture: WalCapture | undefined): Promise<TXID | undefined> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      if (this.#ended !== undefined) return reject(this.#ended.error)
      const abort = () => waiter.settle({ error: signal?.reason })
      const waiter: Waiter = {
        isUrgent: when === 'now',
        end: capture?.committedEnd(),
        txid: undefined,
        isChecked: false,
        settle: (outcome) => {
          this.#waiters.delete(waiter)
          signal?.removeEventListener('abort', abort)
          if ('error' in outcome) reject(outcome.error)
          else resolve(outcome.txid)
        },
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiters.add(waiter)
    })
  }

  /** Is there an urgent request for commits that are not in any file yet? */
  get isUrgent(): boolean {
    for (const { isUrgent, txid } of this.#waiters) if (isUrgent && txid === undefined) return true
    return false
  }

  /**
   * Compares the files with what is open before new callers may be answered: another database may
   * have taken the place of this one since the last check, and they ask about that one.
   */
  async checked(check: () => Promise<void>): Promise<void> {
    if (this.#waiters.size === 0) return
    const unchecked = [...this.#waiters].filter(({ isChecked }) => !isChecked)
    if (unchecked.length === 0) return
    await check()
    for (const waiter of unchecked) waiter.isChecked = true
  }

  /**
   * Another database is open, or the log does not continue: what had been committed when the callers
   * asked is found out again.
   */
  askAgain(): void {
    for (const waiter of this.#waiters) waiter.end = undefined
  }

  /**
   * Answers the callers whose commits are in the store.
   *
   * @param capture of the open database
   * @param captured newest TXID that was assigned to a file
   * @param shipped newest TXID in the store
   */
  answer(capture: WalCapture, captured: TXID | undefined, shipped: TXID | undefined): void {
    for (const waiter of this.#waiters) {
      if (!waiter.isChecked) continue
      waiter.end ??= capture.committedEnd()
      // Checked each time, because pending files are dropped when another writer's files take their
      // place.
      const isCaptured = waiter.end !== undefined && capture.hasCaptured(waiter.end)
      // Lower than before if a file of another process, which ends there, took the place of ours.
      const isLess = captured !== undefined && waiter.txid !== undefined && captured < waiter.txid
      if (!isCaptured) waiter.txid = undefined
      else if (isLess) waiter.txid = captured
      else waiter.txid ??= captured
      if (waiter.txid === undefined || shipped === undefined) continue
      if (shipped >= waiter.txid) waiter.settle({ txid: shipped })
    }
  }

  /** Everything that was ever committed is in the store. */
  answerAll(shipped: TXID | undefined): void {
    for (const waiter of this.#waiters) waiter.settle({ txid: shipped })
  }

  /** Nothing more is shipped: all current and later callers get this error. */
  end(error: unknown): void {
    this.#ended = { error }
    for (const waiter of this.#waiters) waiter.settle({ error })
  }
}
