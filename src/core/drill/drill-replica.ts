import type { TXID } from '../ltx/index.ts'
import type { ReplicaClient } from '../replica/replica-client.ts'
import type { RestoreResult } from '../restore/restore.ts'
import { RestoreError, type RestoreErrorCode } from '../restore/restore-error.ts'
import type { RestoreTarget } from '../restore/restore-target.ts'
import { type ScratchOptions, withScratchRestore } from '../restore/scratch-restore.ts'
import { type AssertionResult, checkAssertions } from './assertions.ts'

/** A state that came out, and what was found in it. */
export interface RestoredDrill {
  readonly restored: true
  readonly txid: TXID
  /** Time of the state; `undefined` if the replica does not say it. */
  readonly time: Date | undefined
  /** Size of the database. */
  readonly bytes: number
  /** What the restore took, with the integrity check: the recovery time that this drill has shown. */
  readonly durationMs: number
  /**
   * How old the state was when the drill began: what a loss at that moment would have cost. 0 if
   * it is known to be what the database still is. `undefined` if the replica does not say its time.
   */
  readonly ageMs: number | undefined
  /** How old it may be; `undefined`: any age is right. */
  readonly maxAgeMs: number | undefined
  readonly assertions: readonly AssertionResult[]
}

/** The replica does not give the state. */
export interface RefusedDrill {
  readonly restored: false
  readonly code: RestoreErrorCode
  readonly message: string
  readonly hint: string | undefined
}

export type Drill = RestoredDrill | RefusedDrill

export interface DrillOptions extends ScratchOptions {
  /** Default: the newest state. */
  readonly target?: RestoreTarget | undefined
  /** SQL statements that must each give one row with one column that is true. */
  readonly assertions?: readonly string[] | undefined
  /** How old the state may be, in milliseconds. Default: any age. */
  readonly maxAgeMs?: number | undefined
  /** The TXID that holds all that the database holds now; `undefined` if it has more than the store. Default: not known. */
  readonly current?: (() => TXID | undefined) | undefined
}

/** Refusals that say something about the replica; others are about this machine, and are thrown. */
const ABOUT_REPLICA: ReadonlySet<RestoreErrorCode> = new Set<RestoreErrorCode>([
  'Gap',
  'TargetNotReachable',
  'MissingObject',
  'DamagedObject',
  'MissingPage',
  'PageSizeMismatch',
  'ChecksumMismatch',
  'IntegrityCheckFailed',
  'IntegrityCheckIncomplete',
])

/**
 * Restores the newest state to a scratch folder, has SQLite check it, and asks it the assertions.
 * Only `drillFailures` says whether the drill was passed.
 *
 * @param inspect looks at the restored file as well; what it gives becomes part of the result
 * @throws RestoreError `NoReplica`, `NoSpace`, `NotWritable`, `WriteFailed`; StoreError; the signal's reason
 */
export async function drillReplica<T extends object>(
  client: ReplicaClient,
  options: DrillOptions,
  inspect: (path: string, result: RestoreResult) => Promise<T>,
): Promise<(RestoredDrill & T) | RefusedDrill> {
  const { target = { kind: 'latest' }, maxAgeMs, assertions = [], signal } = options
  const startedAt = Date.now()
  const current = options.current?.()
  try {
    return await withScratchRestore(client, target, options, async (path, result) => {
      const { plan, time, bytes, durationMs } = result
      const found = await inspect(path, result)
      const isCurrent = current !== undefined && plan.txid >= current
      return {
        restored: true,
        txid: plan.txid,
        time,
        bytes,
        durationMs,
        ageMs: isCurrent ? 0 : time && Math.max(0, startedAt - time.getTime()),
        maxAgeMs,
        assertions: await checkAssertions(path, assertions, { signal }),
        ...found,
      }
    })
  } catch (error) {
    if (!(error instanceof RestoreError) || !ABOUT_REPLICA.has(error.code)) throw error
    const { code, message, hint } = error
    return { restored: false, code, message, hint }
  }
}

/** Is the restored state older than it may be? One without a time cannot be shown to be young enough. */
export function isTooOld({ ageMs, maxAgeMs }: RestoredDrill): boolean {
  return maxAgeMs !== undefined && (ageMs === undefined || ageMs > maxAgeMs)
}

/** What a drill failed by, in words; empty if it was passed. */
export function drillFailures(drill: Drill): string[] {
  if (!drill.restored) return [drill.message]
  const { ageMs, maxAgeMs, assertions } = drill
  const age =
    ageMs === undefined
      ? 'The time of the newest state is not known, so its age cannot be shown to be allowed.'
      : `The newest state is ${span(ageMs)} old, and at most ${span(maxAgeMs ?? 0)} is allowed.`
  return [
    ...(isTooOld(drill) ? [age] : []),
    ...assertions.filter(({ passed }) => !passed).map(assertionFailure),
  ]
}

function assertionFailure({ sql, value, error }: AssertionResult): string {
  return `Assertion failed: ${sql.trim().replaceAll(/\s+/g, ' ')}: ${error ?? `found ${value}`}`
}

function span(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${Math.round(ms / 100) / 10} s`
}
