import { resolve } from 'node:path'
import { type IntegrityCheck, prepareIntegrityCheck } from '../core/restore/integrity-check.ts'
import type { Force, OutputAccess } from '../core/restore/output-file.ts'
import {
  checkOutput,
  discardStaged,
  type InstallOptions,
  installOutput,
  stageOutput,
  writeError,
} from '../core/restore/output-file.ts'
import { RestoreError } from '../core/restore/restore-error.ts'
import type { RestoreTarget } from '../core/restore/restore-target.ts'
import { isStoreError, type ObjectStore } from '../core/store/index.ts'
import { applyLegacyPlan } from './apply-legacy-plan.ts'
import { type LegacyReadOptions, nothing, openLegacy } from './open-legacy.ts'
import { type LegacyPlan, legacyPlans } from './plan-legacy.ts'
import type { ReadHistoryOptions } from './read-history.ts'

export interface LegacyRestoreOptions extends LegacyReadOptions, OutputAccess {
  /** Replace an existing target and remove stale sidecars. Default false. */
  readonly force?: Force | undefined
  /** Default `full`. */
  readonly integrityCheck?: IntegrityCheck | undefined
}

/** A plan whose database SQLite found corrupt. */
export interface RejectedPlan {
  readonly plan: LegacyPlan
  readonly error: RestoreError
}

export interface LegacyRestoreResult {
  readonly plan: LegacyPlan
  /** Plans that were tried before, the best ones first. Empty unless something is damaged. */
  readonly rejected: readonly RejectedPlan[]
  /** Size of the database in bytes. */
  readonly bytes: number
  readonly bytesRead: number
  readonly durationMs: number
  readonly integrityCheck: IntegrityCheck
  /** As in the result of `restoreReplica`. */
  readonly warnings: readonly string[]
}

/** The most plans that are tried; each reads a snapshot and its frames again. */
const MAX_TRIES = 5

/**
 * Restores a replica of walsync 0.1 to a file, with its WAL segments replayed. The output is
 * written whatever the grade; the grade of `result.plan` says how good it is. As with
 * `restoreReplica`, a failure at any moment leaves the output as it was.
 *
 * Reads every segment of the database once, and those of the plan a second time.
 *
 * @param name Where the replica is in the store, without a slash at the end; empty for the root.
 * @throws LegacyError `NoTxids`, `NothingToRestore`, `TargetNotReachable`
 * @throws RestoreError `IntegrityCheckFailed` if SQLite finds every possible result corrupt, and
 *   those of the output file
 * @throws StoreError; the signal's reason
 */
export async function restoreLegacy(
  store: ObjectStore,
  name: string,
  target: RestoreTarget,
  output: string,
  options: LegacyRestoreOptions = {},
): Promise<LegacyRestoreResult> {
  const started = performance.now()
  const { force = false, mode, owner, integrityCheck = 'full', signal } = options
  await checkOutput(output, force)
  const opened = await openLegacy(store, name, target, options)
  const rejected: RejectedPlan[] = []
  for await (const plan of legacyPlans(opened.evidence, opened.until)) {
    try {
      const run = { force, mode, owner, integrityCheck, read: opened.read }
      const ran = await runPlan(opened.store, plan, resolve(output), run)
      return {
        plan,
        rejected,
        ...ran,
        bytesRead: opened.bytesRead(),
        durationMs: Math.round(performance.now() - started),
        integrityCheck,
      }
    } catch (error) {
      signal?.throwIfAborted()
      const corrupt = error instanceof RestoreError && error.code === 'IntegrityCheckFailed'
      if (!corrupt) throw error
      rejected.push({ plan, error })
      if (rejected.length === MAX_TRIES) break
    }
  }
  throw allCorrupt(rejected)
}

function allCorrupt(rejected: readonly RejectedPlan[]): Error {
  const [best] = rejected
  if (best === undefined)
    return nothing('There is no snapshot, and no part of the log contains every page.')
  const ways = rejected.length === 1 ? 'the one way' : `each of ${rejected.length} ways`
  const message = `SQLite finds the database corrupt that ${ways} to restore it makes. The best one: ${best.error.message}`
  return new RestoreError('IntegrityCheckFailed', message, {
    cause: best.error,
    hint: 'Try an earlier time with --point-in-time; --integrity-check none writes the best one as it is, for a recovery by hand.',
  })
}

interface RunOptions extends InstallOptions {
  readonly integrityCheck: IntegrityCheck
  readonly read: ReadHistoryOptions
}

/** Runs a plan into a staged file beside the output, checks it, then gives it the output's name. */
async function runPlan(
  store: ObjectStore,
  plan: LegacyPlan,
  output: string,
  { integrityCheck, read, ...install }: RunOptions,
): Promise<Pick<LegacyRestoreResult, 'bytes' | 'warnings'>> {
  const staged = await stageOutput(output)
  try {
    using check = prepareIntegrityCheck(staged.path, integrityCheck, read.signal)
    const bytes = await applyLegacyPlan(store, plan, staged.handle, read)
    await staged.handle.sync()
    // A network file system may report only on close that it is full.
    await staged.handle.close()
    const broken = await check.run()
    read.signal?.throwIfAborted()
    const notKept = await installOutput(staged, output, install)
    return { bytes, warnings: [...broken, ...notKept] }
  } catch (error) {
    read.signal?.throwIfAborted()
    const system = error instanceof Error && 'syscall' in error && !isStoreError(error)
    throw system ? writeError(output, error) : error
  } finally {
    await discardStaged(staged)
  }
}
