import { once } from 'node:events'

/**
 * Resolves when everything written to a stream has left this process, or nobody will read it any
 * more. A pipe takes 64 KiB at once; what waits behind that is lost when the process ends.
 *
 * @param patience ends the waiting for a reader that does not read
 * @throws Error of the system if something could not be written: a full disk, say
 */
export async function drain(stream: NodeJS.WriteStream, patience: AbortSignal): Promise<void> {
  refuseLoss(stream)
  if (stream.writableLength === 0 || stream.destroyed || patience.aborted) return
  const { promise: written, resolve } = Promise.withResolvers<void>()
  stream.write('', () => resolve())
  const closed = once(stream, 'close', { signal: patience }).catch(() => undefined)
  await Promise.race([written, closed])
  refuseLoss(stream)
}

/** A reader that has gone wants no more; whatever else went wrong must not pass for success. */
function refuseLoss({ errored }: NodeJS.WriteStream): void {
  if (errored !== null && (errored as NodeJS.ErrnoException).code !== 'EPIPE') throw errored
}
