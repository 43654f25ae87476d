import type { ListOptions } from '../object-store.ts'
import type { Attempt } from './attempt.ts'
import type { RetryBudget } from './retry-policy.ts'

export interface ResumableList<T> {
  readonly open: (options: ListOptions) => AsyncIterable<T>
  /** Where to go on after this entry: every key that it stands for sorts at or before. */
  readonly position: (entry: T) => string
  readonly newAttempt: () => Attempt
}

/** A listing across failed pages: goes on after the last entry that came out. */
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
