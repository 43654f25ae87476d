import { abortable, linkSignals } from '../../core/async/signals.ts'
import {
  copyError,
  isStoreError,
  RetryBudget,
  RetryPolicy,
  StoreError,
} from '../../core/store/index.ts'
import type { PutPart } from './put-parts.ts'

export interface PartUpload {
  readonly key: string
  /** Number of parts in flight at once. */
  readonly concurrency: number
  readonly maxParts: number
  readonly signal: AbortSignal
  /** Sends part `number`, counted from 1. Throws StoreErrors or the signal's reason. */
  send(number: number, bytes: Uint8Array, signal: AbortSignal): Promise<void>
}

/**
 * Retries of one part, below the retry layer: the whole object must not be sent again because one
 * of many parts failed.
 */
const PART_RETRIES = new RetryPolicy({ attempts: 4 })

/** The retry budget of one part of an upload. */
export function partBudget(): RetryBudget {
  return new RetryBudget(PART_RETRIES)
}

/**
 * Sends all parts of a body, several at once. Memory is bounded by the parts in flight plus the one
 * being read. The first part that fails for good stops the others.
 *
 * @returns the number of parts and of bytes
 */
export async function uploadParts(
  upload: PartUpload,
  first: PutPart,
  rest: AsyncIterator<PutPart, void>,
): Promise<{ readonly count: number; readonly bytes: number }> {
  const running = new Set<Promise<void>>()
  const failed = new AbortController()
  const link = linkSignals(upload.signal, failed.signal)
  const { signal } = link
  let count = 0
  let bytes = 0
  try {
    for (let part: PutPart | undefined = first; part !== undefined; ) {
      count++
      bytes += part.bytes.length
      if (count > upload.maxParts) throw tooManyParts(upload, bytes)
      const task: Promise<void> = sendPart(upload, count, part.bytes, signal)
        .catch((error: unknown) => failed.abort(error))
        .finally(() => running.delete(task))
      running.add(task)
      if (running.size >= upload.concurrency) await Promise.race(running)
      signal.throwIfAborted()
      part = part.last ? undefined : ((await abortable(rest.next(), signal)).value as PutPart)
    }
    await Promise.all(running)
    signal.throwIfAborted()
    return { count, bytes }
  } catch (error) {
    failed.abort(error)
    await Promise.all(running)
    throw error
  } finally {
    link.release()
  }
}

async function sendPart(
  upload: PartUpload,
  number: number,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const budget = partBudget()
  while (true) {
    try {
      return await upload.send(number, bytes, signal)
    } catch (error) {
      signal.throwIfAborted()
      await budget.pause(notApplied(error), signal)
    }
  }
}

/** Whatever happened to a part, no object has changed without the commit. */
export function notApplied(error: unknown): unknown {
  return isStoreError(error) ? copyError(error, { outcome: 'not-applied' }) : error
}

function tooManyParts({ key, maxParts }: PartUpload, bytes: number): StoreError {
  const message = `${key} needs more than ${maxParts} parts (${bytes} bytes so far).`
  const hint = 'Declare the size of the source, or set a larger partBytes.'
  return new StoreError('InvalidArgument', message, { op: 'put', key, hint })
}
