import { abortable } from './call-scope.ts'

/** The values of a caller's iterable one by one; a source that stalls does not hold up an abort. */
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
    // Not awaited after an abort: a stalled generator answers `return` only when its await ends.
    if (!ended) {
      const closing = Promise.resolve(iterator.return?.()).catch(() => {})
      if (!signal.aborted) await closing
    }
  }
}
