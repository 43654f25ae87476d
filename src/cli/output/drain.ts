import { once } from 'node:events'

/**
 * Resolves when everything written to a stream has left this process, or nobody will read it any
 * more. A pipe takes 64 KiB at once; what waits behind that is lost when the process ends.
 *
 * @param patience ends the waiting for a reader that does not read
 */
export async function drain(stream: NodeJS.WriteStream, patience: AbortSignal): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed || patience.aborted) return
  const { promise: written, resolve } = Promise.withResolvers<void>()
  stream.write('', () => resolve())
  const closed = once(stream, 'close', { signal: patience }).catch(() => undefined)
  await Promise.race([written, closed])
}

/**
 * Takes note of the first error that kept something from being written: a full disk, say. A reader
 * that has gone wants no more, and is none.
 */
export function noteLoss(stream: NodeJS.WriteStream): () => Error | undefined {
  let first: Error | undefined
  const note = (error: NodeJS.ErrnoException | null): void => {
    if (error !== null && error.code !== 'EPIPE') first ??= error
  }
  stream.on('error', note)
  return () => {
    // The event of the very last write may be still to come.
    note(stream.errored)
    return first
  }
}
