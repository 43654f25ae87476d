import type { CommittedEnd, WalCapture } from '../../db/index.ts'
import type { TXID } from '../../ltx/index.ts'

export interface SyncRequest {
  /** `now`: ship at once, whatever the sync interval; `paced`: with the next upload that is due. */
  readonly when: 'now' | 'paced'
  readonly signal?: AbortSignal | undefined
}

interface Waiter {
  readonly isUrgent: boolean
  /** What had been committed when it asked; `undefined` until that is known. */
  end: CommittedEnd | undefined
  /** The file that completes it; `undefined` until everything up to `end` is in a file. */
  txid: TXID | undefined
  readonly settle: (
    outcome: { readonly txid: TXID | undefined } | { readonly error: unknown },
  ) => void
}

/**
 * Callers that wait until everything that was committed before they asked is in the store. All that
 * wait while an upload runs are served by the next one together.
 */
export class SyncWaiters {
  readonly #waiters = new Set<Waiter>()
  #ended: { readonly error: unknown } | undefined

  /**
   * Resolves with the newest TXID in the store.
   *
   * @param capture of the open database, where it can be asked now
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

  /** Does someone who cannot wait for the sync interval wait for commits that are in no file yet? */
  get isUrgent(): boolean {
    for (const { isUrgent, txid } of this.#waiters) if (isUrgent && txid === undefined) return true
    return false
  }

  /**
   * Answers those whose commits are in the store.
   *
   * @param capture of the open database
   * @param captured newest TXID that was given to a file
   * @param shipped newest TXID in the store
   */
  answer(capture: WalCapture, captured: TXID | undefined, shipped: TXID | undefined): void {
    for (const waiter of this.#waiters) {
      waiter.end ??= capture.committedEnd()
      // Asked each time: pending files are given up when another writer's take their place.
      const isCaptured = waiter.end !== undefined && capture.hasCaptured(waiter.end)
      // Less than before if another process's file, which ends there, took the place of ours.
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

  /** Nothing more is shipped: those who wait, and all who come later, get this error. */
  end(error: unknown): void {
    this.#ended = { error }
    for (const waiter of this.#waiters) waiter.settle({ error })
  }
}
