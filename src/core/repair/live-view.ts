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

/** A view of a live database, and whether it is known to be what the replica has. */
export interface LiveView {
  /** Good until the capture's next `advanceReadMark`. */
  readonly view: DatabaseView
  /** The replica has exactly this state at this TXID; `undefined` if that is not known. */
  readonly txid: TXID | undefined
  /** Why it is not known. */
  readonly reason: string
}

export interface LiveViewOptions {
  /** How long to wait for a moment at which the replica has everything, in milliseconds. */
  readonly patienceMs: number
  readonly signal: AbortSignal
}

/** Between two looks, each of which is a listing and a read of 100 bytes, in milliseconds. */
const PAUSE_MS = 250

/**
 * Waits for a moment at which a replica has all that its database has, and holds the database as it
 * is then. A running watcher brings such moments about; where writes never pause, or the WAL does not
 * prove the position, it ends with a view of no known TXID. Writes nothing to the replica.
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

/** Takes the read mark at the replica's end, and says whether the database is there too. */
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
    // The log was restarted between the two looks.
    if (!(error instanceof DatabaseError) || error.code !== 'ContinuityLost') throw error
  }
  return 'the database changed meanwhile, or nobody ships its commits'
}
