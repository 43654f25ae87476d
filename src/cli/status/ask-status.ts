import { askControl, NobodyError } from '../control/control-client.ts'
import { isStatusDocument, type StatusDocument } from './status-document.ts'

/** What came of asking at one socket. `nobody`: no process listens there (any more). */
export type StatusAnswer =
  | { readonly kind: 'answer'; readonly document: StatusDocument }
  | { readonly kind: 'nobody' }
  | { readonly kind: 'failed'; readonly error: Error }

/** A watcher answers within milliseconds; one that is stuck is reported and not waited for. */
const ANSWER_MS = 5000

/** Asks one watcher what it is doing. */
export async function askStatus(path: string, signal: AbortSignal): Promise<StatusAnswer> {
  const timed = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
  try {
    const document = await askControl(path, 'status', {}, timed)
    if (isStatusDocument(document)) return { kind: 'answer', document }
    return {
      kind: 'failed',
      error: new Error('what answers there is not a walsync that this one understands'),
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof NobodyError) return { kind: 'nobody' }
    const late = new Error(`no answer within ${ANSWER_MS} ms`)
    return { kind: 'failed', error: timed.aborted ? late : (error as Error) }
  }
}
