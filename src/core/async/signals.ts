export interface SignalLink {
  readonly signal: AbortSignal
  /** Removes the listeners from the source signals. */
  release(): void
}

/**
 * One signal that aborts with the first of several, with that one's reason. `AbortSignal.any` would
 * keep memory for as long as a long-lived source exists (https://github.com/nodejs/node/issues/54614).
 */
export function linkSignals(...signals: readonly (AbortSignal | undefined)[]): SignalLink {
  const controller = new AbortController()
  const undo: (() => void)[] = []
  for (const signal of signals) {
    if (signal === undefined) continue
    if (signal.aborted) controller.abort(signal.reason)
    const onAbort = () => controller.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    undo.push(() => signal.removeEventListener('abort', onAbort))
  }
  return {
    signal: controller.signal,
    release: () => {
      for (const remove of undo) remove()
    },
  }
}

/** Settles with `promise`, or rejects with the signal's reason as soon as it aborts. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    promise.catch(() => {})
  }
}
