import { once } from 'node:events'

/**
 * Resolves when everything written to a stream has left this process, or when nobody will read it
 * any more. A pipe buffers 64 KiB; anything beyond that is lost if the process exits first.
 *
 * @param patience aborts the wait for a reader that does not read
 */
export async function flush(stream: NodeJS.WriteStream, patience: AbortSignal): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed || patience.aborted) return
  const { promise: written, resolve } = Promise.withResolvers<void>()
  stream.write('', () => resolve())
  const closed = once(stream, 'close', { signal: patience }).catch(() => undefined)
  await Promise.race([written, closed])
}

/**
 * Remembers the first error that kept output from being written, such as a full disk. A reader that
 * has closed its end of the pipe is not an error.
 *
 * @returns a function that gives that error, if there was one
 */
export function trackWriteError(stream: NodeJS.WriteStream): () => Error | undefined {
  let first: Error | undefined
  const note = (error: NodeJS.ErrnoException | null): void => {
    if (error !== null && error.code !== 'EPIPE') first ??= error
  }
  stream.on('error', note)
  return () => {
    // The event for the last write may not have fired yet.
    note(stream.errored)
    return first
  }
}
