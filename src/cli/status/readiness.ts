import type { FleetStatus } from '../watch/fleet-status.ts'
import type { WatchSource } from '../watch/watch-plan.ts'
import type { WatchRun } from '../watch/watch-run.ts'
import { isInTrouble } from './status-document.ts'

/** A database that keeps its watcher from being ready, with the reason. */
export interface Unready {
  readonly name: string
  readonly reason: string
}

/**
 * The databases that are not replicated as they should be: what `/readyz` answers and what a
 * heartbeat depends on. A database whose file another process replicates keeps nobody from being
 * ready; a start that is not over does.
 */
export function unreadyDatabases({
  fleet,
  plan,
  isStarted,
}: Pick<WatchRun, 'fleet' | 'plan' | 'isStarted'>): Unready[] {
  if (!isStarted)
    return plan.sources.map((source) => ({ name: nameOf(source), reason: 'starting' }))
  return fleet.status().flatMap((database) => {
    const { name, state, engine, reason } = database
    const isReplicated = state === 'replicating' || state === 'behind'
    const isReady = isReplicated && !needsAttention(database, plan.maxLagMs)
    if (state === 'standby' || isReady) return []
    return [{ name, reason: engine?.lastError ?? reason ?? lagOr(state, engine?.lagMs) }]
  })
}

/** Does someone have to look after it? The same as `isInTrouble`, for what a watcher knows of itself. */
export function needsAttention(
  { engine, ...own }: FleetStatus,
  maxLagMs: number | undefined,
): boolean {
  const document = {
    ...own,
    pendingFiles: 0,
    walBytes: 0,
    spoolBytes: 0,
    lagMs: engine?.lagMs,
    lastError: engine?.lastError,
    waitingSince: engine?.waitingSince?.toISOString(),
  }
  return isInTrouble(document, { maxLagMs })
}

function lagOr(state: string, lagMs: number | undefined): string {
  return state === 'replicating' || state === 'behind' ? `it lags by ${lagMs} ms` : state
}

function nameOf({ name, where }: WatchSource): string {
  if (name !== undefined) return name
  if (where.kind === 'path') return where.path
  return where.kind === 'glob' ? `${where.base}/${where.pattern}` : where.base
}
