import type { GetResult, ListOptions } from '../object-store.ts'
import { copyError, isStoreError, StoreError } from '../store-error.ts'
import type { Attempt } from './attempt.ts'
import type { RetryBudget } from './retry-policy.ts'

/** A get that has been answered, and the attempt that its body still belongs to. */
export interface OpenGet {
  readonly result: GetResult
  readonly attempt: Attempt
}

/**
 * The bytes of a get across broken connections: continues where the last one broke, and only on the
 * same version, so that two versions are never spliced.
 *
 * @param reopen requests the rest, from an offset to the end of the first response's range
 * @throws StoreError `Unavailable` if the object was replaced or deleted meanwhile
 */
export async function* resumeBody(
  first: OpenGet,
  reopen: (start: number) => Promise<OpenGet>,
  budget: RetryBudget,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { info, range } = first.result
  let open = first
  let at = range.start
  while (true) {
    const { attempt } = open
    const chunks = open.result.body[Symbol.asyncIterator]()
    let failure: unknown
    try {
      while (true) {
        const step = await attempt.wait(() => chunks.next())
        if (step.done === true) break
        at += step.value.byteLength
        if (at > range.end) throw wrongLength(info.key, 'more')
        budget.progress()
        yield step.value
      }
      if (at === range.end) return
      failure = wrongLength(info.key, 'fewer')
    } catch (error) {
      failure = error
    } finally {
      // Best effort: the body has failed, ended or been abandoned.
      await Promise.resolve(chunks.return?.()).catch(() => {})
      attempt.end()
    }
    // Nothing is left to request, but the failure may mean that what arrived is damaged.
    if (at >= range.end) throw failure
    await budget.pause(resumable(failure), signal)
    open = await reopen(at)
    if (open.result.info.version !== info.version || open.result.range.start !== at) {
      open.attempt.end()
      throw replaced(info.key)
    }
  }
}

export function replaced(key: string, cause?: unknown): StoreError {
  const message = `The object ${key} was replaced or deleted while it was being read.`
  return new StoreError('Unavailable', message, { op: 'get', key, cause })
}

/** Damaged or missing bytes are worth another attempt: the rest is requested again. */
function resumable(error: unknown): unknown {
  if (!isStoreError(error) || error.code !== 'Corrupted') return error
  return copyError(error, { retryable: true })
}

function wrongLength(key: string, what: 'more' | 'fewer'): StoreError {
  return new StoreError('Corrupted', `The body of ${key} had ${what} bytes than announced.`, {
    op: 'get',
    key,
  })
}

export interface ResumableList<T> {
  readonly open: (options: ListOptions) => AsyncIterable<T>
  /** Where to continue after this entry: no key that it covers sorts later. */
  readonly position: (entry: T) => string
  readonly newAttempt: () => Attempt
}

/** A listing across failed pages: continues after the last entry that was yielded. */
export async function* resumeList<T>(
  list: ResumableList<T>,
  options: ListOptions,
  budget: RetryBudget,
  signal: AbortSignal,
): AsyncGenerator<T> {
  let { startAfter } = options
  while (true) {
    const attempt = list.newAttempt()
    const entries = list
      .open({ ...options, startAfter, signal: attempt.signal })
      [Symbol.asyncIterator]()
    let failure: unknown
    try {
      while (true) {
        const step = await attempt.wait(() => entries.next())
        if (step.done === true) return
        budget.progress()
        startAfter = list.position(step.value)
        yield step.value
      }
    } catch (error) {
      failure = error
    } finally {
      await Promise.resolve(entries.return?.()).catch(() => {})
      attempt.end()
    }
    await budget.pause(failure, signal)
  }
}
