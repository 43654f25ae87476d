import type { ReplicaClient } from '../replica/replica-client.ts'
import { isStoreError } from '../store/index.ts'
import { type AppliedPlan, applyPlan, type RestoreProgress } from './apply-plan.ts'
import { checkIntegrity, type IntegrityCheck } from './integrity-check.ts'
import {
  discardStaged,
  type InstallOptions,
  installOutput,
  stageOutput,
  writeError,
} from './output-file.ts'
import type { RestorePlan } from './restore-plan.ts'

export interface RunOptions extends InstallOptions {
  readonly integrityCheck: IntegrityCheck
  readonly parallelism: number
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RanPlan extends AppliedPlan {
  /** What the restored database or its file has that somebody should look at, in words. */
  readonly warnings: readonly string[]
}

/**
 * Runs a plan into a staged file beside the output, flushes and checks it, then gives it the
 * output's name. Whatever fails before that leaves the output as it was and no staged file.
 */
export async function runPlan(
  client: ReplicaClient,
  plan: RestorePlan,
  output: string,
  options: RunOptions,
): Promise<RanPlan> {
  const { integrityCheck, parallelism, onProgress, signal, force, mode, owner } = options
  const staged = await stageOutput(output)
  try {
    const applied = await applyPlan(client, plan, staged.handle, {
      parallelism,
      onProgress,
      signal,
    })
    await staged.handle.sync()
    // A failed close can be where a network file system reports that it is full.
    await staged.handle.close()
    onProgress?.({
      phase: 'check',
      bytesDone: plan.bytes,
      bytesTotal: plan.bytes,
      filesDone: plan.files.length,
      filesTotal: plan.files.length,
    })
    const broken = await checkIntegrity(staged.path, integrityCheck, signal)
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

/** The file system's own error, not one that a store or a decoder made of it. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && !isStoreError(error)
}
