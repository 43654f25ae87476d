import { resolveRange, StoreError } from 'walsync/store'
import { ObjectFile } from './object-file.js'
import { mapSqliteError } from './store-errors.js'
import { writeObject } from './write-object.js'

const EAGER_BYTES = 1024 * 1024

/** Objects in one SQLite file. Safe for several processes of one machine. @implements {import('walsync/store').StoreDriver} */
export class SqliteDriver {
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

  /** @param {string} path of the file; it is created by the first call, its folder must exist */
  constructor(path) {
    this.#file = new ObjectFile(path)
    this.description = `sqlite://${path}`
  }

  async check() {
    this.#file.open()
  }

  // #region put
  async put(key, body, options) {
    return writeObject(this.#file, key, body, options)
  }
  // #endregion

  // #region get
  async get(key, { range, ifMatch, signal }) {
    const info = this.#file.find(key)
    if (info === undefined) {
      throw new StoreError('NotFound', `There is no object ${key}.`, { op: 'get', key })
    }
    if (ifMatch !== undefined && ifMatch !== info.version) {
      throw new StoreError('PreconditionFailed', `${key} is another version.`, { op: 'get', key })
    }
    const { start, end } = resolveRange(key, range, info.size)
    const chunks = this.#file.chunks(info, { start, end })
    // Small bodies are read at once, so that they stay whole if the object is replaced meanwhile.
    const body =
      end - start <= EAGER_BYTES ? Buffer.concat([...chunks]) : untilAborted(chunks, signal)
    return { info, range: { start, end }, body }
  }
  // #endregion

  async head(key) {
    return this.#file.find(key)
  }

  // #region list
  async *list({ prefix, startAfter, signal }) {
    let after = startAfter
    while (true) {
      signal.throwIfAborted()
      const page = this.#file.page(prefix, after)
      for (const info of page) {
        if (!info.key.startsWith(prefix)) return
        yield info
      }
      if (page.length === 0) return
      after = page.at(-1).key
    }
  }
  // #endregion

  async delete(key, { ifMatch }) {
    this.#file.remove(key, ifMatch)
  }

  mapError(error, call) {
    return mapSqliteError(error, call)
  }

  async close() {
    this.#file.close()
  }
}

async function* untilAborted(chunks, signal) {
  for (const chunk of chunks) {
    signal.throwIfAborted()
    yield chunk
  }
}
