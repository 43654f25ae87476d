import { unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DeleteFailure, Version } from '../../core/store/index.ts'
import { changed, errnoOf, mapFileError } from './file-errors.ts'
import { fileVersion, statPath, waitForTick } from './file-info.ts'
import type { FileRoot } from './file-root.ts'
import { withPathLock } from './path-lock.ts'

/**
 * Removes a file without flushing its folder. Returns false if there was no regular file of that
 * name.
 */
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

/** Deletes many objects, with one flush per folder. Returns the failures. */
export async function deleteObjects(
  root: FileRoot,
  real: string,
  keys: readonly string[],
): Promise<readonly DeleteFailure[]> {
  const failures: DeleteFailure[] = []
  const fail = (key: string, error: unknown) => {
    failures.push({ key, error: mapFileError(error, { op: 'delete', key }) })
  }
  const byDir = new Map<string, string[]>()
  const remove = async (key: string) => {
    const path = await root.locate(real, 'delete', key)
    if (path === undefined || !(await unlinkObject(path, key, undefined))) return
    const dir = dirname(path)
    byDir.set(dir, [...(byDir.get(dir) ?? []), key])
  }
  await Promise.all(keys.map((key) => remove(key).catch((error) => fail(key, error))))
  for (const [dir, done] of byDir) {
    await root.prune(real, dir).catch((error) => {
      for (const key of done) fail(key, error)
    })
  }
  return failures
}
