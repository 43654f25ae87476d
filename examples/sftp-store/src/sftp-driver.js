import { resolveRange, StoreError } from 'walsync/store'
import { listObjects } from './list-objects.js'
import { HEADER_BYTES, openObject, readAt } from './object-file.js'
import { FAILURE, isStatus, mapSftpError, NO_SUCH_FILE } from './store-errors.js'
import { kindOf, missingRoot, writeObject } from './write-object.js'

const CHUNK_BYTES = 256 * 1024

/** Objects as files below a folder of an SFTP server. @implements {import('walsync/store').StoreDriver} */
export class SftpDriver {
  capabilities = {
    // link(2): see write-object.js.
    ifAbsent: 'atomic',
    // SFTP compares and swaps nothing.
    ifMatch: 'none',
    deleteIfMatch: 'none',
    consistency: 'strong',
    flatNamespace: false,
    listsCreatedAt: true,
    maxObjectBytes: 2 ** 40,
    maxKeyBytes: 512,
  }
  #connection
  #root

  /** @param {string} root absolute path of a folder that exists */
  constructor(connection, root) {
    this.#connection = connection
    this.#root = root
    this.description = `${connection.description}${root}`
  }

  async check({ signal }) {
    signal.throwIfAborted()
    await this.#assertRoot('check')
  }

  async put(key, body, options) {
    return await writeObject(this.#connection, this.#root, key, body, options)
  }

  async get(key, { range, ifMatch, signal }) {
    const object = await openObject(this.#connection, `${this.#root}/${key}`, key, signal)
    if (object === undefined) {
      await this.#assertRoot('get')
      throw new StoreError('NotFound', `There is no object ${key}.`, { op: 'get', key })
    }
    const { file, info } = object
    try {
      if (ifMatch !== undefined && ifMatch !== info.version) {
        throw new StoreError('PreconditionFailed', `${key} is another version.`, { op: 'get', key })
      }
      const { start, end } = resolveRange(key, range, info.size)
      const chunks = this.#chunks(file, start, end, signal)
      if (end - start > CHUNK_BYTES) {
        // A loop that never starts does not end either.
        signal.addEventListener('abort', () => file.closeLater(), { once: true })
        return { info, range: { start, end }, body: chunks }
      }
      return { info, range: { start, end }, body: Buffer.concat(await Array.fromAsync(chunks)) }
    } catch (error) {
      file.closeLater()
      throw error
    }
  }

  async head(key, { signal }) {
    const object = await openObject(this.#connection, `${this.#root}/${key}`, key, signal)
    if (object === undefined) await this.#assertRoot('head')
    else object.file.closeLater()
    return object?.info
  }

  async *list(options) {
    await this.#assertRoot('list')
    yield* listObjects(this.#connection, this.#root, options)
  }

  async delete(key, { signal }) {
    const path = `${this.#root}/${key}`
    try {
      await this.#connection.request(signal, 'unlink', path)
    } catch (error) {
      const isMissing =
        isStatus(error, NO_SUCH_FILE) ||
        (isStatus(error, FAILURE) && (await kindOf(this.#connection, path)) === 'folder')
      if (!isMissing) throw error
      await this.#assertRoot('delete')
    }
    await this.#removeEmptyFolders(key)
  }

  mapError(error, call) {
    return mapSftpError(error, call)
  }

  async close() {
    await this.#connection.close()
  }

  /** The open file is of one version, whatever replaces its name meanwhile. */
  async *#chunks(file, start, end, signal) {
    try {
      for (let at = start; at < end; at += CHUNK_BYTES) {
        const length = Math.min(CHUNK_BYTES, end - at)
        yield await readAt(file, HEADER_BYTES + at, length, signal)
      }
    } finally {
      file.closeLater()
    }
  }

  /** A folder is there as long as it has objects, and another object may get its name then. */
  async #removeEmptyFolders(key) {
    const segments = key.split('/').slice(0, -1)
    for (; segments.length > 0; segments.pop()) {
      try {
        await this.#connection.request(undefined, 'rmdir', `${this.#root}/${segments.join('/')}`)
      } catch {
        return
      }
    }
  }

  async #assertRoot(op) {
    if ((await kindOf(this.#connection, this.#root)) !== 'folder') throw missingRoot(this.#root, op)
  }
}
