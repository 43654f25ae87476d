import { setTimeout as delay } from 'node:timers/promises'
import {
  currentBootId,
  DatabaseError,
  type DatabaseView,
  type SourceDatabase,
} from '../db/index.ts'
import { endOfHeader } from '../engine/capture/ltx-file.ts'
import type { TXID } from '../ltx/index.ts'
import type { ReplicaClient } from '../replica/replica-client.ts'
import { readReplicaHead } from '../replica/replica-head.ts'

/** A view of a live database, and whether it is known to equal the replica's state. */
export interface LiveView {
  /** Valid until the capture's next `advanceReadMark`. */
  readonly view: DatabaseView
  /** The replica has exactly this state at this TXID; `undefined` if that is not known. */
  readonly txid: TXID | undefined
  /** Why it is not known. */
  readonly reason: string
}

export interface LiveViewOptions {
  /** How long to wait for a moment when the replica has everything, in milliseconds. */
  readonly patienceMs: number
  readonly signal: AbortSignal
}

/** Time between two checks, in milliseconds; each is a listing and a read of 100 bytes. */
const PAUSE_MS = 250

/**
 * Waits for a moment when a replica has everything that is in its database, and holds that state of
 * the database. A running watcher brings about such moments. If writes never pause, or if the WAL
 * does not prove the position, the result is a view without a known TXID. Writes nothing to the
 * replica.
 *
 * @throws StoreError, DatabaseError; the signal's reason
 */
export async function liveView(
  source: SourceDatabase,
  client: ReplicaClient,
  { patienceMs, signal }: LiveViewOptions,
): Promise<LiveView> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    const reason = await standing(source, client, signal)
    if (typeof reason !== 'string') return { ...reason, view: await source.capture.view() }
    if (Date.now() >= deadline) {
      return { txid: undefined, view: await source.capture.pinFullView(signal), reason }
    }
    await delay(PAUSE_MS, undefined, { signal })
  }
}

/**
 * Takes the read mark at the replica's end and returns whether the database is at that state, too.
 */
async function standing(
  source: SourceDatabase,
  client: ReplicaClient,
  signal: AbortSignal,
): Promise<{ readonly txid: TXID; readonly reason: '' } | string> {
  const { capture } = source
  const { txid, header } = await readReplicaHead(client, { signal })
  const end = header && endOfHeader(header)
  if (txid === undefined || header === undefined || end === undefined) {
    return 'the replica does not say where in the WAL it ends'
  }
  const continuity = capture.resume(end, header.commit, currentBootId())
  if (!continuity.proven) return continuity.reason
  try {
    const change = await capture.scan()
    if (change === undefined && capture.isFullyCaptured) return { txid, reason: '' }
  } catch (error) {
    // The log was restarted in between.
    if (!(error instanceof DatabaseError) || error.code !== 'ContinuityLost') throw error
  }
  return 'the database changed in the meantime, or no watcher ships its commits'
}
