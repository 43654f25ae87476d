import { resolve } from 'node:path'
import type { ReplicaClient } from '../replica/replica-client.ts'
import { isStoreError } from '../store/index.ts'
import { type AppliedPlan, applyPlan, type RestoreProgress } from './apply-plan.ts'
import { type IntegrityCheck, prepareIntegrityCheck } from './integrity-check.ts'
import {
  checkOutput,
  discardStaged,
  type Force,
  type InstallOptions,
  installOutput,
  type OutputAccess,
  stageOutput,
  writeError,
} from './output-file.ts'
import { type AvoidedObject, RestoreAttempts } from './restore-attempts.ts'
import type { RestorePlan } from './restore-plan.ts'
import type { RestoreTarget } from './restore-target.ts'

export interface RestoreOptions extends OutputAccess {
  /** Replace an existing target and remove stale sidecars. Default false. */
  readonly force?: Force | undefined
  /** Default `full`. */
  readonly integrityCheck?: IntegrityCheck | undefined
  /** Concurrent reads, each of up to 2 MiB held in memory. Default 8. */
  readonly parallelism?: number | undefined
  /**
   * Threads that decode and write beside the caller's. Default: one fewer than there are cores, three at
   * most, and none for small replicas.
   */
  readonly threads?: number | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RestoreResult {
  readonly plan: RestorePlan
  /** Time of the restored state; `undefined` if the newest header has no valid time. */
  readonly time: Date | undefined
  readonly pageSize: number
  /** Size of the database in pages. */
  readonly commit: number
  /** Size of the database in bytes. */
  readonly bytes: number
  readonly filesRead: number
  /**
   * Files of the plan that were not read, and so not verified, because newer files had all of their
   * pages.
   */
  readonly filesSkipped: number
  readonly bytesRead: number
  readonly durationMs: number
  readonly integrityCheck: IntegrityCheck
  /** Empty unless the replica needs repair. */
  readonly avoided: readonly AvoidedObject[]
  /**
   * Things to check although the restore succeeded: rows that break a constraint of their table, as
   * they did in the source; an owner that could not be preserved; times that disagree with the
   * order of states, so that a target time may mean another state.
   */
  readonly warnings: readonly string[]
}

/**
 * Restores one state of a database to a file. After a crash or error at any moment the output is
 * the old file, if there was one, or the complete new one.
 *
 * If objects vanish in the meantime because of retention, the replica is listed again. A damaged or
 * missing object is avoided and reported if the others make up exactly the same state; otherwise it
 * is an error that says how far a restore gets.
 *
 * @throws RestoreError, StoreError; the signal's reason
 */
export async function restoreReplica(
  client: ReplicaClient,
  target: RestoreTarget,
  output: string,
  options: RestoreOptions = {},
): Promise<RestoreResult> {
  const started = performance.now()
  const { force = false, integrityCheck = 'full', parallelism = 8, threads } = options
  const { onProgress, signal } = options
  if (!Number.isInteger(parallelism) || parallelism < 1) {
    throw new RangeError(`Expected \`parallelism\` to be a positive integer, got ${parallelism}.`)
  }
  if (threads !== undefined && (!Number.isInteger(threads) || threads < 0)) {
    throw new RangeError(`Expected \`threads\` to be 0 or a positive integer, got ${threads}.`)
  }
  signal?.throwIfAborted()
  // Checked before the path is made absolute, which would drop the slash at the end of a folder's
  // name.
  await checkOutput(output, force)
  const path = resolve(output)
  const { mode, owner } = options
  const run = { force, mode, owner, integrityCheck, parallelism, threads, onProgress, signal }
  const attempts = new RestoreAttempts(client, target, signal)
  for (;;) {
    try {
      const plan = await attempts.plan()
      const time = await attempts.readTime(plan)
      const applied = await runPlan(client, plan, path, run)
      const { pageSize, commit, filesRead, bytesRead } = applied
      return {
        plan,
        time: time ?? validDate(applied.timestamp),
        pageSize,
        commit,
        bytes: pageSize * commit,
        filesRead,
        filesSkipped: plan.files.length - filesRead,
        bytesRead,
        durationMs: Math.round(performance.now() - started),
        integrityCheck,
        avoided: attempts.avoided,
        warnings: [...plan.warnings, ...applied.warnings],
      }
    } catch (error) {
      await attempts.failed(error)
    }
  }
}

function validDate(timestamp: number): Date | undefined {
  const date = new Date(timestamp)
  return Number.isNaN(date.getTime()) ? undefined : date
}

export interface RunOptions extends InstallOptions {
  readonly integrityCheck: IntegrityCheck
  readonly parallelism: number
  readonly threads?: number | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RanPlan extends AppliedPlan {
  /** Descriptions of what should be checked about the restored database or its file. */
  readonly warnings: readonly string[]
}

/**
 * Runs a plan into a staged file next to the output, flushes and checks it, then gives it the
 * output's name. If anything fails before that, the output is unchanged and no staged file is left.
 */
export async function runPlan(
  client: ReplicaClient,
  plan: RestorePlan,
  output: string,
  options: RunOptions,
): Promise<RanPlan> {
  const { integrityCheck, parallelism, threads, onProgress, signal, force, mode, owner } = options
  const staged = await stageOutput(output)
  try {
    using check = prepareIntegrityCheck(staged.path, integrityCheck, signal)
    const applied = await applyPlan(client, plan, staged.handle, {
      parallelism,
      threads,
      onProgress,
      signal,
    })
    await staged.handle.sync()
    // A network file system may report only on close that it is full.
    await staged.handle.close()
    onProgress?.({
      phase: 'check',
      bytesDone: plan.bytes,
      bytesTotal: plan.bytes,
      filesDone: plan.files.length,
      filesTotal: plan.files.length,
    })
    const broken = await check.run()
    signal?.throwIfAborted()
    const notKept = await installOutput(staged, output, { force, mode, owner })
    return { ...applied, warnings: [...broken, ...notKept] }
  } catch (error) {
    signal?.throwIfAborted()
    throw isSystemError(error) ? writeError(output, error) : error
  } finally {
    await discardStaged(staged)
  }
}

/** An error of the file system itself, not one that a store or a decoder has wrapped. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && !isStoreError(error)
}
