import { abortable } from './signals.ts'

/** Yields the values of an iterable one by one. A source that stalls does not delay an abort. */
export async function* pull<T>(
  source: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const iterator =
    Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  let ended = false
  try {
    while (true) {
      signal.throwIfAborted()
      const step = await abortable(Promise.resolve(iterator.next()), signal)
      if (step.done === true) break
      yield step.value
    }
    ended = true
  } finally {
    // Not awaited after an abort: a stalled generator answers `return` only once its own await has ended.
    if (!ended) {
      const closing = Promise.resolve(iterator.return?.()).catch(() => {})
      if (!signal.aborted) await closing
    }
  }
}
