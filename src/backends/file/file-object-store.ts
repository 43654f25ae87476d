import { opendir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type DurableFs, nodeFs } from '../../core/fs/durable-fs.ts'
import {
  assertDeleteOptions,
  assertGetOptions,
  assertKey,
  assertPutOptions,
  type Call,
  type CallOptions,
  CallScope,
  type DeleteFailure,
  type DeleteOptions,
  type DirEntry,
  type GetOptions,
  type GetResult,
  type ListOptions,
  type ObjectInfo,
  type ObjectStore,
  type PutBody,
  type PutOptions,
  type PutResult,
  resolveRange,
  type StoreCapabilities,
} from '../../core/store/index.ts'
import { deleteObjects, unlinkObject } from './file-delete.ts'
import { changed, notFound, toStoreError } from './file-errors.ts'
import { fileInfo, statPath } from './file-info.ts'
import { listBase, type Walk, walkDir, walkObjects } from './file-list.ts'
import type { FileStoreOptions } from './file-options.ts'
import { openFile, readRange, streamRange } from './file-read.ts'
import { FileRoot } from './file-root.ts'
import { writeObject } from './file-write.ts'
import { Gate } from './gate.ts'

/** Bodies up to this size are read as part of `get`, so that their bytes are one version for sure. */
const EAGER_BYTES = 1024 * 1024
const OPEN_FILES = 64

/**
 * A folder as an object store. A put costs two flushes, file and folder, and is durable when it
 * resolves. Safe among processes of one machine; conditions on a version hold within one process.
 */
export class FileObjectStore implements ObjectStore {
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
  readonly #fs: DurableFs
  readonly #scope = new CallScope()
  readonly #gate = new Gate(OPEN_FILES)
  #closing: Promise<void> | undefined

  /** @throws StoreError `InvalidArgument` if the root is no absolute path */
  constructor(options: FileStoreOptions) {
    this.#root = new FileRoot(options)
    this.#fs = options.fs ?? nodeFs
    this.description = pathToFileURL(this.#root.path).href
  }

  async check(options?: CallOptions): Promise<void> {
    await this.#run({ op: 'check', signal: options?.signal }, async () => {
      const found = await this.#root.find('check')
      const real = found ?? (await this.#root.ensure('check'))
      await (await opendir(real)).close()
    })
  }

  async put(key: string, body: PutBody, options?: PutOptions): Promise<PutResult> {
    assertKey(key, 'put')
    assertPutOptions(key, options, this.capabilities)
    return this.#run({ op: 'put', key, signal: options?.signal }, async (signal) => {
      const real = await this.#root.ensure('put', key)
      const write = async () => {
        // A folder that is missing is made, without links in it.
        const path = await this.#root.locate(real, 'put', key)
        const put = { root: this.#root, real, key, fs: this.#fs, signal }
        return writeObject({ ...put, path: path ?? `${real}/${key}` }, body, options)
      }
      // A source may wait for anything, also for another put: it must not hold the gate.
      return body instanceof Uint8Array ? this.#gate.run(write) : write()
    })
  }

  async get(key: string, options?: GetOptions): Promise<GetResult> {
    assertKey(key, 'get')
    assertGetOptions(key, options)
    const call = { op: 'get', key, signal: options?.signal }
    return this.#run(call, () => this.#gate.run(() => this.#get(call, key, options)))
  }

  async head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    assertKey(key, 'head')
    return this.#run({ op: 'head', key, signal: options?.signal }, async () => {
      const path = await this.#find('head', key)
      const stats = path === undefined ? undefined : await statPath(path)
      return stats?.isFile() ? fileInfo(key, stats) : undefined
    })
  }

  list(options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    return this.#walk(options, walkObjects)
  }

  listDir(options: ListOptions = {}): AsyncIterable<DirEntry> {
    return this.#walk(options, walkDir)
  }

  async delete(key: string, options?: DeleteOptions): Promise<void> {
    assertKey(key, 'delete')
    assertDeleteOptions(key, options, this.capabilities)
    await this.#run({ op: 'delete', key, signal: options?.signal }, async () => {
      const real = await this.#root.find('delete', key)
      const path = real === undefined ? undefined : await this.#root.locate(real, 'delete', key)
      if (real === undefined || path === undefined) {
        if (options?.ifMatch !== undefined) throw changed('delete', key)
        return
      }
      const removed = await unlinkObject(path, key, options?.ifMatch)
      if (removed) await this.#root.prune(real, dirname(path))
    })
  }

  deleteMany(
    keys: Iterable<string> | AsyncIterable<string>,
    options?: CallOptions,
  ): AsyncIterable<DeleteFailure> {
    const root = this.#root
    return this.#iterate({ op: 'delete', signal: options?.signal }, async function* (signal) {
      const real = await root.find('delete')
      yield* deleteObjects(root, real, keys, signal)
    })
  }

  async close(): Promise<void> {
    this.#closing ??= this.#scope.close().then(() => this.#root.close())
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #get(call: Call, key: string, options: GetOptions | undefined): Promise<GetResult> {
    const path = await this.#find('get', key)
    const file = path === undefined ? undefined : await openFile(path)
    if (path === undefined || file === undefined) throw notFound(key)
    try {
      const info = fileInfo(key, file.stats)
      if (options?.ifMatch !== undefined && options.ifMatch !== info.version) {
        throw changed('get', key)
      }
      const range = resolveRange(key, options?.range, info.size)
      const { start, end } = range
      const bytes =
        end - start <= EAGER_BYTES ? await readRange(file.handle, info, start, end) : undefined
      const body = this.#scope.iterate(call, async function* (signal) {
        if (bytes === undefined) yield* streamRange(path, info, start, end, signal)
        else if (bytes.byteLength > 0) yield bytes
      })
      return { info, range, body }
    } finally {
      await file.handle.close()
    }
  }

  /** Path of a key that is to be read; `undefined` if it cannot exist. */
  async #find(op: string, key: string): Promise<string | undefined> {
    const real = await this.#root.find(op, key)
    return real === undefined ? undefined : this.#root.locate(real, op, key)
  }

  #walk<T>(options: ListOptions, walk: (walk: Walk) => AsyncIterable<T>): AsyncIterable<T> {
    const { prefix = '', startAfter = '' } = options
    const root = this.#root
    return this.#iterate({ op: 'list', signal: options.signal }, async function* (signal) {
      const real = await root.find('list')
      const base = listBase(prefix)
      if (real === undefined || base === undefined) return
      if ((await root.locate(real, 'list', `${base}any`)) === undefined) return
      yield* walk({ real, prefix, startAfter, signal })
    })
  }

  #run<T>(call: Call, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#scope.run(call, (signal) =>
      work(signal).catch((error: unknown) => {
        throw toStoreError(error, call.op, call.key)
      }),
    )
  }

  #iterate<T>(call: Call, open: (signal: AbortSignal) => AsyncIterable<T>): AsyncIterable<T> {
    return this.#scope.iterate(call, async function* (signal) {
      try {
        yield* open(signal)
      } catch (error) {
        throw toStoreError(error, call.op, call.key)
      }
    })
  }
}
