import { CHAIN_BROKEN } from '../../core/engine/events.ts'
import { ReplicaError } from '../../core/replica/replica-error.ts'
import { isStoreError } from '../../core/store/index.ts'
import { needsAttention } from '../status/readiness.ts'
import { formatSpan } from '../status/render-status.ts'
import type { FleetStatus } from '../watch/fleet-status.ts'
import { outageKey } from '../watch/outage-log.ts'
import type { OpenFailure } from './open-failures.ts'

/**
 * What a webhook is told of; everything for which `walsync status` exits with 1 is one of these, and
 * `not-shipped` comes from the end of the process.
 *
 * `store-outage`: a store does not answer, or refuses. `database-failing`: something other than the
 * store keeps a database from being replicated or its replica from being looked after.
 * `database-missing`: the file of a replicated database has been gone for a minute. `lagging`: the
 * lag is above `--max-lag`. `replica-damaged`: a verification found damage, or objects of a replica
 * are not what they were. `drill-failed`: a restore drill did not find what it had to. `fenced`: another watcher has taken the replica over. `not-shipped`: the
 * process ended before the last changes were in the store.
 */
export const TROUBLES = [
  'store-outage',
  'database-failing',
  'database-missing',
  'lagging',
  'replica-damaged',
  'drill-failed',
  'fenced',
  'not-shipped',
] as const
export type TroubleKind = (typeof TROUBLES)[number]

/** One thing that is wrong with one database. */
export interface Trouble {
  readonly kind: TroubleKind
  /** Databases with the same group are one incident, whenever they join it; without one, those that fail at the same time are. */
  readonly group?: string | undefined
  readonly reason: string
  readonly code?: string | undefined
  readonly store?: string | undefined
  /** When it began, if that is known, in milliseconds since 1970. */
  readonly since?: number | undefined
}

export interface TroubleSources {
  readonly maxLagMs: number | undefined
  /** The most severe failure of a database that is not over. */
  readonly failureOf: (database: string) => OpenFailure | undefined
  /** What the store of a database is called. */
  readonly storeOf: (database: string) => string
}

/** Everything that is wrong with one database now; empty if nothing is. */
export function troublesOf(database: FleetStatus, sources: TroubleSources): Trouble[] {
  const { maxLagMs } = sources
  const lagMs = database.engine?.lagMs ?? 0
  const other = needsAttention(database, undefined) ? [otherTrouble(database, sources)] : []
  if (maxLagMs === undefined || lagMs <= maxLagMs) return other
  const reason = `${formatSpan(lagMs)}, more than --max-lag (${formatSpan(maxLagMs)})`
  return [...other, { kind: 'lagging', group: 'lagging', reason }]
}

function otherTrouble(database: FleetStatus, { failureOf, storeOf }: TroubleSources): Trouble {
  const { name, state, engine } = database
  const reason = engine?.lastError ?? database.reason ?? state
  const since = engine?.errorSince?.getTime()
  if (state === 'fenced') return { kind: 'fenced', reason, since }
  if (engine?.lastError === CHAIN_BROKEN) return { kind: 'replica-damaged', reason, since }
  if (state === 'failing' || engine?.lastError !== undefined) {
    const { error, finding } = failureOf(name) ?? { error: undefined, finding: undefined }
    const code = codeOf(error)
    if (isStoreError(error)) {
      const store = storeOf(name)
      const group = outageKey(store, error)
      return { kind: 'store-outage', group, reason: error.message, code, store, since }
    }
    if (finding === 'failed-drill') return { kind: 'drill-failed', reason, since }
    const isDamaged = finding === 'damage' || error instanceof ReplicaError
    return { kind: isDamaged ? 'replica-damaged' : 'database-failing', reason, code, since }
  }
  const missingSince = engine?.waitingSince?.getTime()
  if (missingSince !== undefined) return { kind: 'database-missing', reason, since: missingSince }
  return { kind: 'database-failing', reason, since }
}

function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}
