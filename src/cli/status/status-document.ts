import type { DatabaseStatus } from '../../core/engine/replication-status.ts'
import type { DrillRecord } from '../watch/drill-history.ts'
import type { FleetStatus } from '../watch/fleet-status.ts'

/** What a watcher answers on its socket: one JSON document. TXIDs are 16 hexadecimal digits, times RFC 3339. */
export interface StatusDocument {
  /** Of this format. */
  readonly version: 1
  readonly walsync: string
  readonly pid: number
  readonly startedAt: string
  readonly uptimeMs: number
  /** The configuration file, if there is one. */
  readonly config?: string | undefined
  /** How long the final sync may take when the watcher ends. */
  readonly shutdownTimeoutMs?: number | undefined
  readonly databases: readonly StatusOfDatabase[]
}

/** One database of a watcher. Times in milliseconds, sizes in bytes; a field that is not known is not there. */
export interface StatusOfDatabase {
  readonly name: string
  readonly path: string
  /** URL of the replica, without a query; not there for a file that gets none. */
  readonly replica?: string | undefined
  readonly state: FleetStatus['state']
  /** Why it is not replicating. */
  readonly reason?: string | undefined
  /** How old the oldest commit is that is not in the store; 0 if there is none. */
  readonly lagMs?: number | undefined
  /** Newest TXID in the store. */
  readonly txid?: string | undefined
  readonly lastSyncAt?: string | undefined
  /** The worst failure that is not over. */
  readonly lastError?: string | undefined
  readonly errorSince?: string | undefined
  /** Since when a database that was replicated has been missing or empty. */
  readonly waitingSince?: string | undefined
  readonly pendingFiles: number
  readonly walBytes: number
  readonly spoolBytes: number
  readonly replicaBytes?: number | undefined
  readonly replicaFiles?: number | undefined
  readonly restorable?: { readonly from: StatusPoint; readonly to: StatusPoint } | undefined
  /** The last restore drill. */
  readonly lastDrill?: DrillRecord | undefined
}

export interface StatusPoint {
  readonly txid: string
  readonly time: string
}

/** Whoever listens on the socket may answer anything. */
export function isStatusDocument(value: unknown): value is StatusDocument {
  const { pid, uptimeMs, databases } = (value ?? {}) as Partial<
    Record<keyof StatusDocument, unknown>
  >
  if (typeof pid !== 'number' || typeof uptimeMs !== 'number') return false
  return Array.isArray(databases) && databases.every(isDatabase)
}

function isDatabase(value: unknown): boolean {
  const { name, path, state, txid, walBytes, spoolBytes } = (value ?? {}) as Record<string, unknown>
  const isTxid = txid === undefined || (typeof txid === 'string' && /^[0-9a-f]{16}$/.test(txid))
  const isNamed = [name, path, state].every((text) => typeof text === 'string')
  return isNamed && isTxid && typeof walBytes === 'number' && typeof spoolBytes === 'number'
}

/** As `StatusDocument` is before it is written as JSON. */
export interface StatusParts {
  readonly walsync: string
  readonly startedAt: Date
  readonly config: string | undefined
  readonly shutdownTimeoutMs: number
  readonly databases: readonly FleetStatus[]
}

/** The document, for `jsonLine`. */
export function statusDocument(parts: StatusParts, now: Date): object {
  const { walsync, startedAt, config, shutdownTimeoutMs, databases } = parts
  return {
    version: 1,
    walsync,
    pid: process.pid,
    startedAt,
    uptimeMs: now.getTime() - startedAt.getTime(),
    config,
    shutdownTimeoutMs,
    databases: databases.map(databaseDocument),
  }
}

/** So long a database that was replicated may be gone before that is trouble: who replaces a file needs a moment. */
const MISSING_MS = 60_000

/**
 * Does someone have to look after it? Waiting for a first file, or for a store that answers slowly,
 * is no trouble.
 *
 * @param limits `maxLagMs`: more than that is trouble
 */
export function isInTrouble(
  { state, lastError, lagMs, waitingSince }: StatusOfDatabase,
  limits: { readonly maxLagMs?: number | undefined } = {},
  now: number = Date.now(),
): boolean {
  if (state === 'failing' || state === 'fenced' || state === 'stopped') return true
  if (lastError !== undefined) return true
  if (lagMs !== undefined && lagMs > (limits.maxLagMs ?? Number.POSITIVE_INFINITY)) return true
  return waitingSince !== undefined && now - Date.parse(waitingSince) >= MISSING_MS
}

function databaseDocument({ engine, ...fleet }: FleetStatus): object {
  const none = { pendingFiles: 0, walBytes: 0, spoolBytes: 0 }
  const own: Partial<DatabaseStatus> = engine ?? none
  return { ...none, ...own, ...fleet }
}
