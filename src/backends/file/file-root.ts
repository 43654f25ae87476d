import { lstatSync, realpathSync } from 'node:fs'
import { lstat, readdir, realpath, rmdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makeDir, syncDir } from '../../core/fs/durable-dir.ts'
import { type DurableFs, type DurableStats, nodeFs } from '../../core/fs/durable-fs.ts'
import { isOnLocalDisk, localFs } from '../../core/fs/local-fs.ts'
import { isStaleTemp } from '../../core/fs/temp-name.ts'
import { errnoOf, leadsOut, notAFolder, rootNotFound } from './file-errors.ts'
import { statPath } from './file-info.ts'
import { assertRoot, type FileStoreOptions } from './file-options.ts'

/**
 * Folder for staged files. No key contains this name, because no part of a key starts with a dot.
 */
const STAGING = '.walsync-tmp'

/**
 * The folder of a file store: whether it exists, where its keys are, and which of its folders are
 * known to be on disk.
 */
export class FileRoot {
  readonly path: string
  readonly #create: boolean | undefined
  #fs: DurableFs
  readonly #isFsGiven: boolean
  /**
   * Folders whose entries, in every folder above, have been flushed. By identity, because a folder
   * may be removed and created again.
   */
  readonly #settled = new Map<string, string>()
  /** Running flushes of folders. */
  readonly #flushes = new Map<string, FolderFlush>()
  #real: Promise<string> | undefined
  #swept: Promise<void> | undefined

  constructor(options: FileStoreOptions) {
    assertRoot(options.root)
    this.path = options.root
    this.#create = options.create
    this.#fs = options.fs ?? nodeFs
    this.#isFsGiven = options.fs !== undefined
  }

  /** The calls to write with; known once the root has been found. */
  get fs(): DurableFs {
    return this.#fs
  }

  /** The root's real path; `undefined` if it is missing and reads as empty. */
  async find(op: string, key?: string): Promise<string | undefined> {
    try {
      const real = await this.#realPath()
      if (await this.#isFolder(real)) return real
    } catch (error) {
      const errno = errnoOf(error)
      if (errno !== 'ENOENT' && errno !== 'ENOTDIR') throw error
      this.#real = undefined
      if (this.#create === true && errno === 'ENOENT') return undefined
    }
    throw rootNotFound(op, key, this.path)
  }

  /** For writers: creates the root if it is missing and that is allowed. */
  async ensure(op: string, key?: string): Promise<string> {
    if (this.#create === false) {
      const found = await this.find(op, key)
      if (found !== undefined) return found
    }
    const known = await this.#real?.catch(() => undefined)
    const isThere = known !== undefined && (await this.#isFolder(known).catch(() => false))
    if (!isThere) await makeDir(this.path, this.#fs)
    const real = await this.find(op, key)
    if (real === undefined) throw rootNotFound(op, key, this.path)
    return real
  }

  /**
   * For writers: the root's real path and the path of a key, in a folder that is made if it is
   * missing. One call of the file system once it is there.
   *
   * @throws StoreError as `ensure` and `locate`
   */
  async place(op: string, key: string): Promise<{ readonly real: string; readonly path: string }> {
    const known = await this.#real?.catch(() => undefined)
    if (known !== undefined) {
      const path = join(known, key)
      const dir = dirname(path)
      // Below a root that has been removed or replaced by a link, no folder has this real path.
      const resolved = await this.#resolve(dir).catch(() => undefined)
      if (dir !== known && resolved === dir) return { real: known, path }
    }
    const real = await this.ensure(op, key)
    const found = await this.locate(real, op, key)
    if (found !== undefined) return { real, path: found }
    const path = join(real, key)
    // `settle` flushes the folders above, once for all objects that wait for it.
    await makeDir(dirname(path), this.#fs, async () => {})
    return { real, path }
  }

  /**
   * Path of a key, or `undefined` if its folder does not exist.
   *
   * @throws StoreError `InvalidKey` if a folder on the path is a symbolic link, which could lead
   *   out of the root, even if a folder below it does not exist yet
   */
  async locate(real: string, op: string, key: string): Promise<string | undefined> {
    const path = join(real, key)
    let missing = false
    for (let dir = dirname(path); dir !== real; dir = dirname(dir)) {
      try {
        if ((await this.#resolve(dir)) !== dir) throw leadsOut(op, key)
        break
      } catch (error) {
        const errno = errnoOf(error)
        if (errno !== 'ENOENT' && errno !== 'ENOTDIR') throw error
        missing = true
      }
    }
    return missing ? undefined : path
  }

  /**
   * Whether a folder exists, for a listing.
   *
   * @param base path below the root, with a slash at the end, or empty for the root
   * @throws StoreError `InvalidKey` if there is something else at this path, or above it: a listing
   *   without what it held would look complete
   */
  async hasFolder(real: string, op: string, base: string): Promise<boolean> {
    let dir = real
    for (const name of base.split('/').slice(0, -1)) {
      dir = join(dir, name)
      const isLocal = this.#fs === localFs
      const stats = isLocal ? lstatSync(dir, { throwIfNoEntry: false }) : await statPath(dir)
      if (stats === undefined) return false
      if (!stats.isDirectory()) throw notAFolder(op, dir)
    }
    return true
  }

  /** The folder for staged files. The first call removes what crashed writers left in it. */
  async staging(real: string): Promise<string> {
    const dir = join(real, STAGING)
    this.#swept ??= sweep(dir)
    await this.#swept
    return dir
  }

  /**
   * Makes sure that the entry of a flushed folder, and those of the folders above it, are flushed
   * as well.
   */
  async settle(real: string, dir: string, stats: DurableStats): Promise<void> {
    let current = dir
    let known = stats
    const flushed = new Map<string, string>()
    while (true) {
      const identity = `${known.dev}-${known.ino}-${known.birthtimeNs}`
      if (this.#settled.get(current) === identity) break
      flushed.set(current, identity)
      if (current === real) {
        // The root's own entry. If we may not open its parent, making it durable is not our job.
        await this.#flush(dirname(real)).catch((error: unknown) => {
          if (errnoOf(error) !== 'EACCES') throw error
        })
        break
      }
      current = dirname(current)
      known = await this.#flush(current)
    }
    // Not before: another put into the same folder would be confirmed while the flush is running, or
    // after it has failed.
    for (const [folder, identity] of flushed) this.#settled.set(folder, identity)
  }

  /** Removes folders that a delete left empty, and flushes the first that remains. */
  async prune(real: string, dir: string): Promise<void> {
    let current = dir
    while (current !== real) {
      if (await removeIfEmpty(current)) {
        this.#settled.delete(current)
      } else if (await flushed(current, this.#fs)) {
        return
      }
      current = dirname(current)
    }
    await syncDir(real, this.#fs)
  }

  /** Removes the staging folder if nobody uses it. */
  async close(): Promise<void> {
    if (this.#swept === undefined) return
    await this.#swept.catch(() => {})
    await removeIfEmpty(join(await this.#realPath().catch(() => this.path), STAGING))
  }

  /** Flushes a folder. Callers that come while a flush is running share the next one. */
  async #flush(dir: string): Promise<DurableStats> {
    const running = this.#flushes.get(dir)
    if (running === undefined) return await this.#startFlush(dir)
    running.next ??= running.ended.then(() => this.#startFlush(dir))
    return await running.next
  }

  #startFlush(dir: string): Promise<DurableStats> {
    const flushed = syncDir(dir, this.#fs)
    const flush: FolderFlush = { ended: flushed.then(noResult, noResult), next: undefined }
    this.#flushes.set(dir, flush)
    void flush.ended.then(() => {
      if (flush.next === undefined) this.#flushes.delete(dir)
    })
    return flushed
  }

  #realPath(): Promise<string> {
    this.#real ??= realpath(this.path).then(async (real) => {
      if (!this.#isFsGiven) this.#fs = (await isOnLocalDisk(real)) ? localFs : nodeFs
      return real
    })
    return this.#real
  }

  async #resolve(path: string): Promise<string> {
    return this.#fs === localFs ? realpathSync.native(path) : await realpath(path)
  }

  async #isFolder(path: string): Promise<boolean> {
    const stats = this.#fs === localFs ? lstatSync(path) : await lstat(path)
    return stats.isDirectory()
  }
}

interface FolderFlush {
  /** Resolves when it has ended, whether it succeeded or not. */
  readonly ended: Promise<void>
  /** Begins after it, for those that came in the meantime. */
  next: Promise<DurableStats> | undefined
}

function noResult(): void {}

/** Returns false if the folder is gone because another delete has removed it. */
async function flushed(dir: string, fs: DurableFs): Promise<boolean> {
  try {
    await syncDir(dir, fs)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}

async function removeIfEmpty(dir: string): Promise<boolean> {
  try {
    await rmdir(dir)
    return true
  } catch {
    return false
  }
}

async function sweep(dir: string): Promise<void> {
  const names = await readdir(dir).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  for (const name of names) {
    const path = join(dir, name)
    const stats = await lstat(path).catch(() => undefined)
    if (stats?.isFile() && isStaleTemp(name, stats.ctimeMs)) await unlink(path).catch(() => {})
  }
}
