import type { BigIntStats } from 'node:fs'
import { dirname } from 'node:path'
import { DurableFile } from '../../core/fs/durable-file.ts'
import {
  type DriverBody,
  type DriverPutOptions,
  freeBytes,
  type PutResult,
  type StoreError,
} from '../../core/store/index.ts'
import { alreadyExists, changed, errnoOf, isFolder, noHardLinks } from './file-errors.ts'
import { fileVersion, statPath, waitForTick } from './file-info.ts'
import type { FileRoot } from './file-root.ts'
import { withPathLock } from './path-lock.ts'

const NO_LINKS: ReadonlySet<string | undefined> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
])

export interface FilePut {
  readonly root: FileRoot
  /** The root's own path, links resolved. */
  readonly real: string
  readonly path: string
  readonly key: string
}

/**
 * Stages the body under the root and gives it its name: by link(2) for create-only, otherwise by
 * rename(2).
 */
export async function writeObject(
  put: FilePut,
  body: DriverBody,
  options: DriverPutOptions,
): Promise<PutResult> {
  const { root, real, path, key } = put
  // Publishing finds out by itself; asked before only to save the staging of a large body.
  const mustLook = options.ifAbsent !== true || body.bytes === undefined
  const existing = mustLook ? await statPath(path) : undefined
  if (existing !== undefined && options.ifAbsent === true) throw taken(key, existing)
  const file = await DurableFile.open(path, { tempDir: await root.staging(real), fs: root.fs })
  try {
    for await (const chunk of body) {
      await file.write(chunk)
      // Bytes in memory are the caller's, and a retry needs them again.
      if (body.bytes === undefined) freeBytes(chunk)
    }
    const mode = existing?.isFile() ? Number(existing.mode & 0o777n) : undefined
    const stats = await file.seal({ mtime: options.createdAt, mode })
    const dir = await withPathLock(path, () => publish(put, file, options))
    await root.settle(real, dirname(path), dir)
    return { size: Number(stats.size), version: fileVersion(stats) }
  } finally {
    await file.discard()
  }
}

async function publish(put: FilePut, file: DurableFile, options: DriverPutOptions) {
  const { path, key } = put
  const { signal } = options
  if (options.ifAbsent === true) {
    signal.throwIfAborted()
    return file.publish('create').catch(async (error: unknown) => {
      if (errnoOf(error) === 'EEXIST') throw taken(key, await statPath(path))
      if (NO_LINKS.has(errnoOf(error))) throw noHardLinks(key, error)
      throw error
    })
  }
  const current = await statPath(path)
  if (options.ifMatch !== undefined) {
    const holds = current?.isFile() && fileVersion(current) === options.ifMatch
    if (!holds) throw changed('put', key)
  }
  if (current?.isFile()) await waitForTick(current)
  signal.throwIfAborted()
  return file.publish('replace')
}

function taken(key: string, existing: BigIntStats | undefined): StoreError {
  return existing?.isDirectory() ? isFolder('put', key) : alreadyExists(key)
}
