import type { DatabaseStatus } from '../../core/engine/replication-status.ts'
import type { DrillRecord } from './drill-history.ts'
import type { FleetMember } from './fleet-member.ts'
import type { Standby } from './hand-over.ts'
import type { RefusedFile, WantedDatabase } from './resolve-databases.ts'
import type { WaitingDatabase } from './waiting-database.ts'

/** What one database is doing, for `walsync status`. */
export interface FleetStatus {
  readonly name: string
  readonly path: string
  /** URL of the replica, without a query; nothing for a file that gets none. */
  readonly replica: string | undefined
  /**
   * The engine's states, and `failing`: it currently cannot be replicated; `ending`: its
   * replication is ending; `standby`: another process replicates it.
   */
  readonly state: DatabaseStatus['state'] | 'failing' | 'ending' | 'standby'
  readonly reason?: string | undefined
  /** Another process replicates the same file into the same replica, and this one waits for its end. */
  readonly standby?: Standby | undefined
  readonly engine?: DatabaseStatus | undefined
  /** The last restore drill, of this process or an earlier one. */
  readonly lastDrill?: DrillRecord | undefined
}

export interface FleetParticulars {
  readonly members: readonly FleetMember[]
  readonly wanted: readonly WantedDatabase[]
  readonly refused: readonly RefusedFile[]
  readonly waiting: ReadonlyMap<string, WaitingDatabase>
  /** Why the engine waits, or last did, by name. */
  readonly reasons: ReadonlyMap<string, string>
  readonly engine: readonly DatabaseStatus[]
  /** Why a database is kept back, by name. */
  readonly held: ReadonlyMap<string, string>
  readonly standby: (name: string) => Standby | undefined
  readonly lastDrill: (name: string) => DrillRecord | undefined
}

/** Everything that is replicated or should be, by name. */
export function fleetStatus(fleet: FleetParticulars, now: number): FleetStatus[] {
  const { members, wanted, refused, waiting, reasons, held } = fleet
  const engine = new Map(fleet.engine.map((status) => [status.name, status]))
  const names = new Set(members.map(({ database }) => database.name))
  const replicated = members.map(({ database, phase, fenced }): FleetStatus => {
    const { name, path, replica } = database
    const own = engine.get(name)
    const standing = phase === 'ending' || phase === 'fenced' ? phase : undefined
    const state = standing ?? own?.state ?? 'starting'
    // Each attempt opens the database first, which takes seconds while it is locked.
    const failed = phase === 'adding' && own?.isOpen !== true ? waiting.get(name) : undefined
    if (failed?.isFailing(now)) {
      return { name, path, replica, state: 'failing', reason: failed.reason, engine: own }
    }
    const reason = fenced?.message ?? (state === 'waiting' ? reasons.get(name) : undefined)
    return { name, path, replica, state, engine: own, reason, lastDrill: fleet.lastDrill(name) }
  })
  const missing = wanted.flatMap(({ database: { name, path, replica } }): FleetStatus[] => {
    if (names.has(name)) return []
    const isHeld = held.get(name)
    if (isHeld !== undefined) return [{ name, path, replica, state: 'failing', reason: isHeld }]
    const standby = fleet.standby(name)
    if (standby !== undefined) {
      return [{ name, path, replica, state: 'standby', reason: standbyReason(standby), standby }]
    }
    const own = waiting.get(name)
    if (own?.reason === undefined) return []
    const state = own.isFailing(now) ? 'failing' : 'waiting'
    return [{ name, path, replica, state, reason: own.reason }]
  })
  const others = refused.map(
    ({ path, reason }): FleetStatus => ({
      name: path,
      path,
      replica: undefined,
      state: 'failing',
      reason,
    }),
  )
  return [...replicated, ...missing, ...others].sort((a, b) => (a.name < b.name ? -1 : 1))
}

function standbyReason({ holder }: Standby): string {
  if (holder === undefined) return 'another process replicates the same file'
  const { pid, host, since } = holder
  return `process ${pid} on ${host} replicates the same file since ${since.toISOString()}`
}
