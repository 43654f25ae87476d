import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LtxFileInfo, ReplicaClient } from '../replica/replica-client.ts'
import { ReplicaError } from '../replica/replica-error.ts'
import type { RestoreProgress } from './apply-plan.ts'
import { type RestoreResult, restoreReplica } from './restore.ts'
import { planFor } from './restore-attempts.ts'
import { RestoreError } from './restore-error.ts'
import type { RestoreTarget } from './restore-target.ts'

export interface ScratchOptions {
  readonly parallelism?: number | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Restores a state into a new folder under the system's temporary folder, with SQLite's integrity
 * check, and passes it to `use`. The folder is gone when the promise settles.
 *
 * @throws RestoreError, also `NoSpace` before anything is written; StoreError; what `use` throws
 */
export async function withScratchRestore<T>(
  client: ReplicaClient,
  target: RestoreTarget,
  options: ScratchOptions,
  use: (path: string, result: RestoreResult) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'walsync-verify-'))
  try {
    await assertRoom(client, target, folder, options.signal)
    const path = join(folder, 'restored.db')
    const result = await restoreReplica(client, target, path, options)
    return await use(path, result)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Temporary folders are often in memory: filling one up would affect more than this restore. */
async function assertRoom(
  client: ReplicaClient,
  target: RestoreTarget,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const plan = await planFor(client, target, { signal })
  const needed = await sizeAfter(client, plan.files.at(-1) as LtxFileInfo, signal)
  const { bavail, bsize } = await statfs(folder)
  if (needed <= bavail * bsize) return
  const message = `A restore needs ${needed} bytes, but ${tmpdir()} has only ${bavail * bsize} free.`
  throw new RestoreError('NoSpace', message, {
    path: folder,
    hint: 'Set TMPDIR to a folder with more room.',
  })
}

/** 0 if the header cannot be read; the restore will report why. */
async function sizeAfter(
  client: ReplicaClient,
  file: LtxFileInfo,
  signal: AbortSignal | undefined,
): Promise<number> {
  try {
    const { commit, pageSize } = await client.readHeader(file, { signal })
    return commit * pageSize
  } catch (error) {
    if (error instanceof ReplicaError) return 0
    throw error
  }
}
