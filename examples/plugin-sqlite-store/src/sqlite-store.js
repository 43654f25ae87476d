import {
  assertDeleteOptions,
  assertGetOptions,
  assertKey,
  assertPutOptions,
  CallScope,
  deleteEach,
  foldDirs,
  resolveRange,
  StoreError,
} from 'walsync/store'
import { ObjectFile } from './object-file.js'
import { toStoreError } from './store-errors.js'
import { writeObject } from './write-object.js'

const EAGER_BYTES = 1024 * 1024

/** Objects in one SQLite file. Safe among processes of one machine. @implements {import('walsync/store').ObjectStore} */
export class SqliteStore {
  // #region capabilities
  capabilities = {
    ifAbsent: 'atomic',
    ifMatch: 'atomic',
    deleteIfMatch: 'atomic',
    consistency: 'strong',
    flatNamespace: true,
    listsCreatedAt: true,
    maxObjectBytes: 2 ** 40,
    maxKeyBytes: 512,
  }
  // #endregion
  #file
  #scope = new CallScope()

  /** @param {string} path of the file; it is made at the first call, its folder must exist */
  constructor(path) {
    this.#file = new ObjectFile(path)
    this.description = `sqlite://${path}`
  }

  async check(options) {
    await this.#run({ op: 'check', signal: options?.signal }, () => this.#file.open())
  }

  // #region put
  async put(key, body, options) {
    assertKey(key, 'put')
    assertPutOptions(key, options, this.capabilities)
    return this.#run({ op: 'put', key, signal: options?.signal }, (signal) =>
      writeObject(this.#file, key, body, options ?? {}, signal),
    )
  }
  // #endregion

  async get(key, options) {
    assertKey(key, 'get')
    assertGetOptions(key, options)
    const call = { op: 'get', key, signal: options?.signal }
    return this.#run(call, () => {
      const info = this.#file.find(key)
      if (info === undefined) {
        throw new StoreError('NotFound', `There is no object ${key}.`, { op: 'get', key })
      }
      if (options?.ifMatch !== undefined && options.ifMatch !== info.version) {
        throw new StoreError('PreconditionFailed', `${key} is another version.`, { op: 'get', key })
      }
      const range = resolveRange(key, options?.range, info.size)
      const file = this.#file
      // Small ones at once: what was replaced a moment later is still whole.
      const eager = range.end - range.start <= EAGER_BYTES && [...file.chunks(info, range)]
      const body = this.#iterate(call, async function* (signal) {
        for (const chunk of eager || file.chunks(info, range)) {
          signal.throwIfAborted()
          yield chunk
        }
      })
      return { info, range, body }
    })
  }

  async head(key, options) {
    assertKey(key, 'head')
    return this.#run({ op: 'head', key, signal: options?.signal }, () => this.#file.find(key))
  }

  // #region list
  list({ prefix = '', startAfter = '', signal } = {}) {
    const file = this.#file
    return this.#iterate({ op: 'list', signal }, async function* (linked) {
      let after = startAfter
      for (;;) {
        linked.throwIfAborted()
        const page = file.page(prefix, after)
        for (const info of page) {
          if (!info.key.startsWith(prefix)) return
          yield info
        }
        if (page.length === 0) return
        after = page.at(-1).key
      }
    })
  }

  listDir(options = {}) {
    const call = { op: 'list', signal: options.signal }
    return this.#iterate(call, (signal) =>
      foldDirs(this.list({ ...options, signal }), options.prefix ?? ''),
    )
  }
  // #endregion

  async delete(key, options) {
    assertKey(key, 'delete')
    assertDeleteOptions(key, options, this.capabilities)
    await this.#run({ op: 'delete', key, signal: options?.signal }, () =>
      this.#file.remove(key, options?.ifMatch),
    )
  }

  deleteMany(keys, options) {
    return this.#iterate({ op: 'delete', signal: options?.signal }, (signal) =>
      deleteEach(keys, (key) => this.delete(key, { signal }), signal),
    )
  }

  async close() {
    await this.#scope.close()
    this.#file.close()
  }

  async [Symbol.asyncDispose]() {
    await this.close()
  }

  // #region scope
  #run(call, work) {
    return this.#scope.run(call, async (signal) => {
      try {
        return await work(signal)
      } catch (error) {
        throw toStoreError(error, call)
      }
    })
  }
  // #endregion

  #iterate(call, open) {
    return this.#scope.iterate(call, async function* (signal) {
      try {
        yield* open(signal)
      } catch (error) {
        throw toStoreError(error, call)
      }
    })
  }
}
