import { unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  assertKey,
  type DeleteFailure,
  isStoreError,
  pull,
  type Version,
} from '../../core/store/index.ts'
import { changed, errnoOf, toStoreError } from './file-errors.ts'
import { fileVersion, statPath, waitForTick } from './file-info.ts'
import type { FileRoot } from './file-root.ts'
import { withPathLock } from './path-lock.ts'

/** Keys whose names go before their folders are flushed once. */
const BATCH = 256

/** Takes the name away, without the folder's flush. Missing, or no regular file: nothing to do, and false. */
export async function unlinkObject(
  path: string,
  key: string,
  ifMatch: Version | undefined,
): Promise<boolean> {
  return withPathLock(path, async () => {
    const current = await statPath(path)
    if (ifMatch !== undefined && (!current?.isFile() || fileVersion(current) !== ifMatch)) {
      throw changed('delete', key)
    }
    if (!current?.isFile()) return false
    await waitForTick(current)
    try {
      await unlink(path)
      return true
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false
      throw error
    }
  })
}

/** Deletes in batches, with one flush for each folder of a batch. Without a root nothing is there to delete. */
export async function* deleteObjects(
  root: FileRoot,
  real: string | undefined,
  keys: Iterable<string> | AsyncIterable<string>,
  signal: AbortSignal,
): AsyncGenerator<DeleteFailure> {
  let batch: string[] = []
  for await (const key of pull(keys, signal)) {
    batch.push(key)
    if (batch.length < BATCH) continue
    yield* await deleteBatch(root, real, batch)
    batch = []
  }
  yield* await deleteBatch(root, real, batch)
}

async function deleteBatch(
  root: FileRoot,
  real: string | undefined,
  keys: readonly string[],
): Promise<readonly DeleteFailure[]> {
  const failures: DeleteFailure[] = []
  const fail = (key: string, error: unknown) => {
    const known = toStoreError(error, 'delete', key)
    if (!isStoreError(known)) throw known
    failures.push({ key, error: known })
  }
  const byDir = new Map<string, string[]>()
  const remove = async (key: string) => {
    assertKey(key, 'delete')
    const path = real === undefined ? undefined : await root.locate(real, 'delete', key)
    if (path === undefined || !(await unlinkObject(path, key, undefined))) return
    const dir = dirname(path)
    byDir.set(dir, [...(byDir.get(dir) ?? []), key])
  }
  await Promise.all(keys.map((key) => remove(key).catch((error) => fail(key, error))))
  for (const [dir, done] of byDir) {
    await root.prune(real ?? dir, dir).catch((error) => {
      for (const key of done) fail(key, error)
    })
  }
  return failures
}
