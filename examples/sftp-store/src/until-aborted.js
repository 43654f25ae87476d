/** Gives up waiting when the signal aborts, and leaves no listener on it. */
export async function untilAborted(promise, signal) {
  if (signal === undefined) return await promise
  promise.catch(() => {})
  signal.throwIfAborted()
  let stop
  const aborted = new Promise((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
