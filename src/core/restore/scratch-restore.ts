import { mkdir, readdir, rm, stat, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isStaleTemp, tempName } from '../fs/index.ts'
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
 * check, and passes it to `use`. The folder is gone when the promise settles. Folders that killed
 * processes left behind are removed first.
 *
 * @throws RestoreError, also `NoSpace` before anything is written; StoreError; what `use` throws
 */
export async function withScratchRestore<T>(
  client: ReplicaClient,
  target: RestoreTarget,
  options: ScratchOptions,
  use: (path: string, result: RestoreResult) => Promise<T>,
): Promise<T> {
  await sweep(tmpdir())
  const folder = join(tmpdir(), `${PREFIX}${tempName()}`)
  await mkdir(folder, { mode: 0o700 })
  try {
    await assertRoom(client, target, folder, options.signal)
    const path = join(folder, 'restored.db')
    // A check in the background leaves the other cores to the application.
    const result = await restoreReplica(client, target, path, { ...options, threads: 0 })
    return await use(path, result)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Before the name of a staged file, which says whose it is. */
const PREFIX = 'walsync-scratch'

/** Best effort: what cannot be removed belongs to another user, or is in use. */
async function sweep(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => [])
  for (const name of names) {
    if (!name.startsWith(PREFIX)) continue
    try {
      const path = join(dir, name)
      const changedMs = await lastChange(path)
      if (!isStaleTemp(name.slice(PREFIX.length), changedMs)) continue
      await rm(path, { recursive: true, force: true })
    } catch {
      // The next restore tries again.
    }
  }
}

/** Of the folder or a file in it: a long restore changes only the file. */
async function lastChange(folder: string): Promise<number> {
  const paths = [folder, ...(await readdir(folder)).map((name) => join(folder, name))]
  const changes = await Promise.all(paths.map(async (path) => (await stat(path)).ctimeMs))
  return Math.max(...changes)
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
