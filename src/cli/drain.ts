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
