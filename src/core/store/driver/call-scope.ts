import { linkSignals, type SignalLink } from '../../async/signals.ts'
import { StoreError } from '../store-error.ts'

export interface Call {
  readonly op: string
  readonly key?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Ties each call of a store to its caller's signal and to the lifetime of the store, so that all
 * backends treat abort and close alike. `work` gets one signal for both and must settle soon after
 * it aborts; the call then rejects with the caller's reason, or with `Closed`.
 */
export class CallScope {
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<void>>()
  readonly #idle = new Set<() => Promise<void>>()

  get closed(): boolean {
    return this.#closing.signal.aborted
  }

  /** Aborts when the store closes. */
  get signal(): AbortSignal {
    return this.#closing.signal
  }

  async run<T>(call: Call, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#throwIfOver(call)
    const link = linkSignals(call.signal, this.#closing.signal)
    const finished = this.#track()
    try {
      return await work(link.signal)
    } catch (error) {
      this.#throwIfOver(call)
      throw error
    } finally {
      link.release()
      finished()
    }
  }

  /**
   * A single-use iterable. Nothing runs or listens before the first `next()`. When the signal
   * aborts or the store closes between two steps, `open`'s iterator is returned at once, so that an
   * abandoned loop holds no handle or socket.
   */
  iterate<T>(call: Call, open: (signal: AbortSignal) => AsyncIterable<T>): AsyncIterable<T> {
    let used = false
    return {
      [Symbol.asyncIterator]: () => {
        if (used) throw usedTwice(call)
        used = true
        return this.#iterator(call, open)
      },
    }
  }

  #iterator<T>(call: Call, open: (signal: AbortSignal) => AsyncIterable<T>): AsyncIterator<T> {
    let inner: AsyncIterator<T> | undefined
    let link: SignalLink | undefined
    let over = false
    const end = async () => {
      if (over) return
      over = true
      link?.signal.removeEventListener('abort', dropNow)
      link?.release()
      this.#idle.delete(end)
      await inner?.return?.()
    }
    const dropNow = () => {
      if (this.#idle.has(end)) end().catch(() => {})
    }
    return {
      next: async () => {
        if (over && inner === undefined) return { done: true, value: undefined }
        this.#throwIfOver(call)
        if (over) return { done: true, value: undefined }
        link ??= linkSignals(call.signal, this.#closing.signal)
        const finished = this.#track()
        this.#idle.delete(end)
        try {
          if (inner === undefined) {
            link.signal.addEventListener('abort', dropNow)
            inner = open(link.signal)[Symbol.asyncIterator]()
          }
          const step = await inner.next()
          if (step.done === true) await end()
          else this.#idle.add(end)
          return step
        } catch (error) {
          await end().catch(() => {})
          this.#throwIfOver(call)
          throw error
        } finally {
          finished()
        }
      },
      return: async () => {
        await end()
        return { done: true, value: undefined }
      },
    }
  }

  /** Aborts all calls in flight and resolves when they have settled. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort()
    const idle = [...this.#idle].map((end) => end().catch(() => {}))
    await Promise.all([...this.#running, ...idle])
  }

  #track(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#running.add(promise)
    return () => {
      this.#running.delete(promise)
      resolve()
    }
  }

  #throwIfOver(call: Call): void {
    call.signal?.throwIfAborted()
    if (!this.closed) return
    const what = call.key === undefined ? call.op : `${call.op} of ${call.key}`
    throw new StoreError('Closed', `The store is closed: ${what}.`, { op: call.op, key: call.key })
  }
}

function usedTwice(call: Call): StoreError {
  const what = call.key === undefined ? call.op : `${call.op} of ${call.key}`
  return new StoreError('InvalidArgument', `The result of ${what} was iterated twice.`, {
    op: call.op,
    key: call.key,
    hint: 'It can be used once. Call the method again for a second pass.',
  })
}
