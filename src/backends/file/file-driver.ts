import { opendir, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Limiter } from '../../core/async/limiter.ts'
import {
  type DeleteFailure,
  type DirEntry,
  type DriverBody,
  type DriverCall,
  type DriverDeleteOptions,
  type DriverGetOptions,
  type DriverGetResult,
  type DriverListOptions,
  type DriverPutOptions,
  type ObjectInfo,
  type PutResult,
  resolveRange,
  type StoreCapabilities,
  type StoreDriver,
  type StoreError,
  type Version,
} from '../../core/store/index.ts'
import { changed, errnoOf, mapFileError, notFound } from './file-errors.ts'
import { fileInfo, fileVersion, statPath, waitForTick } from './file-info.ts'
import { listBase, type Walk, walkDir, walkObjects } from './file-list.ts'
import type { FileStoreOptions } from './file-options.ts'
import { openFile, readRange, streamRange } from './file-read.ts'
import { FileRoot } from './file-root.ts'
import { writeObject } from './file-write.ts'
import { withPathLock } from './path-lock.ts'

/**
 * Bodies up to this size are read within `get`, which guarantees that all bytes are of one version.
 */
const EAGER_BYTES = 2 * 1024 * 1024
/**
 * Maximum number of files open at once, so that thousands of calls do not exhaust the file
 * descriptors.
 */
const OPEN_FILES = 64

/** Stores objects as files of one folder. */
export class FileDriver implements StoreDriver {
  readonly description: string
  readonly capabilities: StoreCapabilities = {
    ifAbsent: 'atomic',
    ifMatch: 'process',
    deleteIfMatch: 'process',
    consistency: 'strong',
    flatNamespace: false,
    listsCreatedAt: true,
    maxObjectBytes: Number.MAX_SAFE_INTEGER,
    maxKeyBytes: 512,
  }
  readonly #root: FileRoot
  readonly #limiter = new Limiter(OPEN_FILES)

  /** @throws StoreError `InvalidArgument` if the root is not an absolute path */
  constructor(options: FileStoreOptions) {
    this.#root = new FileRoot(options)
    this.description = pathToFileURL(this.#root.path).href
  }

  async check(): Promise<void> {
    const found = await this.#root.find('check')
    const real = found ?? (await this.#root.ensure('check'))
    await (await opendir(real)).close()
  }

  async put(key: string, body: DriverBody, options: DriverPutOptions): Promise<PutResult> {
    const write = async () => {
      const { real, path } = await this.#root.place('put', key)
      return writeObject({ root: this.#root, real, path, key }, body, options)
    }
    // A source may wait for anything, even for another put, so it must not hold a slot of the limiter.
    return body.bytes === undefined ? write() : this.#limiter.run(write)
  }

  get(key: string, options: DriverGetOptions): Promise<DriverGetResult> {
    return this.#limiter.run(() => this.#get(key, options))
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const path = await this.#find('head', key)
    const stats = path === undefined ? undefined : await statPath(path)
    return stats?.isFile() ? fileInfo(key, stats) : undefined
  }

  list(options: DriverListOptions): AsyncIterable<ObjectInfo> {
    return this.#walk(options, walkObjects)
  }

  listDir(options: DriverListOptions): AsyncIterable<DirEntry> {
    return this.#walk(options, walkDir)
  }

  async delete(key: string, { ifMatch }: DriverDeleteOptions): Promise<void> {
    const real = await this.#root.find('delete', key)
    const path = real === undefined ? undefined : await this.#root.locate(real, 'delete', key)
    if (real === undefined || path === undefined) {
      if (ifMatch !== undefined) throw changed('delete', key)
      return
    }
    const removed = await unlinkObject(path, key, ifMatch)
    if (removed) await this.#root.prune(real, dirname(path))
  }

  async deleteBatch(keys: readonly string[]): Promise<readonly DeleteFailure[]> {
    const real = await this.#root.find('delete')
    // A missing root that counts as empty has nothing to delete.
    return real === undefined ? [] : deleteObjects(this.#root, real, keys)
  }

  mapError(error: unknown, call: DriverCall): StoreError {
    return mapFileError(error, call)
  }

  async close(): Promise<void> {
    await this.#root.close()
  }

  async #get(key: string, { range, ifMatch, signal }: DriverGetOptions): Promise<DriverGetResult> {
    const path = await this.#find('get', key)
    const file = path === undefined ? undefined : await openFile(path)
    if (path === undefined || file === undefined) throw notFound(key)
    try {
      const info = fileInfo(key, file.stats)
      if (ifMatch !== undefined && ifMatch !== info.version) throw changed('get', key)
      const { start, end } = resolveRange(key, range, info.size)
      const body =
        end - start <= EAGER_BYTES
          ? await readRange(file.handle, info, start, end)
          : streamRange(path, info, start, end, signal)
      return { info, range: { start, end }, body }
    } finally {
      await file.handle.close()
    }
  }

  /** The path of a key to be read; `undefined` if it cannot exist. */
  async #find(op: string, key: string): Promise<string | undefined> {
    const real = await this.#root.find(op, key)
    return real === undefined ? undefined : this.#root.locate(real, op, key)
  }

  async *#walk<T>(
    { prefix, startAfter, signal }: DriverListOptions,
    walk: (walk: Walk) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    const real = await this.#root.find('list')
    const base = listBase(prefix)
    if (real === undefined || base === undefined) return
    if (!(await this.#root.hasFolder(real, 'list', base))) return
    yield* walk({ real, prefix, startAfter, signal })
  }
}

/**
 * Removes a file without flushing its folder. Returns false if there was no regular file of that
 * name.
 */
async function unlinkObject(
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
async function deleteObjects(
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
