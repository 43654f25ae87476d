import { pull } from '../../async/pull.ts'
import { linkSignals } from '../../async/signals.ts'
import type { PutBody } from '../object-store.ts'
import { StoreError } from '../store-error.ts'

/**
 * How long an attempt may take to clean up after an abort before it is abandoned, in milliseconds.
 */
const GRACE_MS = 1000
/**
 * The slowest upload that does not count as stalled, for bodies whose progress cannot be observed.
 */
const BYTES_PER_MS = 64

/**
 * One attempt of a call: a signal that aborts with the caller's, or with a `Timeout` error once the
 * store has made no progress for a while. Time spent waiting for the caller does not count.
 */
export class Attempt {
  readonly signal: AbortSignal
  readonly #timeoutMs: number
  readonly #timeout = new AbortController()
  readonly #release: () => void
  readonly #error: () => StoreError
  #timer: NodeJS.Timeout | undefined

  constructor(parent: AbortSignal, timeoutMs: number, op: string, key?: string) {
    const link = linkSignals(parent, this.#timeout.signal)
    this.signal = link.signal
    this.#release = link.release
    this.#timeoutMs = timeoutMs
    const writes = op === 'put' || op === 'delete'
    const what = key === undefined ? op : `${op} of ${key}`
    this.#error = () =>
      new StoreError('Timeout', `The store did not answer within ${timeoutMs} ms: ${what}.`, {
        op,
        key,
        outcome: writes ? 'unknown' : 'not-applied',
        hint: 'Check the endpoint, and the network between this machine and the store.',
      })
  }

  /** Awaits one step of the store. After an abort, waits for its cleanup, but not forever. */
  async wait<T>(work: () => Promise<T>, extraMs = 0): Promise<T> {
    this.signal.throwIfAborted()
    const given = Promise.withResolvers<never>()
    let grace: NodeJS.Timeout | undefined
    const onAbort = () => {
      grace = setTimeout(() => given.reject(this.signal.reason), GRACE_MS)
    }
    this.signal.addEventListener('abort', onAbort, { once: true })
    this.#run(extraMs)
    const result = (async () => work())()
    try {
      return await Promise.race([result, given.promise])
    } finally {
      result.catch(() => {})
      clearTimeout(grace)
      this.signal.removeEventListener('abort', onAbort)
      this.#stop()
    }
  }

  /** The body, with reads counted as progress, and its own delays not counted against the store. */
  watch(body: PutBody): PutBody {
    if (body instanceof Uint8Array) return body
    return { size: body.size, open: () => this.watchItems(body.open()) }
  }

  async *watchItems<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T> {
    const source = pull(items, this.signal)
    try {
      while (true) {
        this.#stop()
        const step = await source.next()
        this.#run(0)
        if (step.done === true) return
        yield step.value
      }
    } finally {
      await source.return(undefined)
    }
  }

  /** The items that the store sends, each step timed separately. */
  async *timeItems<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    const source = items[Symbol.asyncIterator]()
    try {
      while (true) {
        const step = await this.wait(() => source.next())
        if (step.done === true) return
        yield step.value
      }
    } finally {
      await source.return?.()
    }
  }

  /** Removes the listeners. The signal no longer aborts. */
  end(): void {
    this.#stop()
    this.#release()
  }

  #run(extraMs: number): void {
    this.#stop()
    this.#timer = setTimeout(() => this.#timeout.abort(this.#error()), this.#timeoutMs + extraMs)
  }

  #stop(): void {
    clearTimeout(this.#timer)
  }
}

/** Extra time for a body that is sent in one piece. */
export function uploadMs(body: PutBody): number {
  return body instanceof Uint8Array ? body.byteLength / BYTES_PER_MS : 0
}
