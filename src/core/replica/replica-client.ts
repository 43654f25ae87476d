import {
  CHECKSUM_TAIL_SIZE,
  type DatabaseChecksums,
  decodeChecksumTail,
  decodeLtxHeader,
  formatTxid,
  LTX_HEADER_SIZE,
  type LtxHeader,
  type TXID,
} from '../ltx/index.ts'
import {
  type ByteRange,
  type CallOptions,
  type DeleteFailure,
  giveAway,
  isStoreError,
  type ObjectInfo,
  type ObjectStore,
  type PutBody,
  StoreError,
} from '../store/index.ts'
import { ReplicaError } from './replica-error.ts'
import { ltxKey, otherLayout, parseLtxKey, type ReplicaLayout } from './replica-layout.ts'
import { fileInfo, type LtxFileInfo, type ReplicaListing, readListing } from './replica-listing.ts'

export { ReplicaError, type ReplicaErrorCode } from './replica-error.ts'
export { compareFiles, type LtxFileInfo, type ReplicaListing } from './replica-listing.ts'

/** The LTX files of one replica in an object store. The rest of core does not deal with keys. */
export class ReplicaClient {
  readonly store: ObjectStore
  #layout: ReplicaLayout
  readonly #eitherLayout: boolean
  readonly #onStored: ((file: LtxFileInfo) => void) | undefined

  /**
   * @param store rooted at the replica's own prefix; the caller closes it
   * @param options `onStored`: called with each file that this client has stored. `eitherLayout`: use a
   *   replica whose files are all in the other layout as it is; by default a listing refuses it
   */
  constructor(
    store: ObjectStore,
    layout: ReplicaLayout,
    options: {
      readonly onStored?: ((file: LtxFileInfo) => void) | undefined
      readonly eitherLayout?: boolean | undefined
    } = {},
  ) {
    this.store = store
    this.#layout = layout
    this.#eitherLayout = options.eitherLayout === true
    this.#onStored = options.onStored
  }

  /** The given layout, or the one that the last listing found. */
  get layout(): ReplicaLayout {
    return this.#layout
  }

  /**
   * Every LTX file, by level, then first TXID, then last TXID, from one listing of the prefix.
   * Objects that are not LTX files of this layout are left out.
   *
   * @throws StoreError `Unsupported` for a replica in the other layout, unless `eitherLayout` is set
   */
  async list(options: CallOptions = {}): Promise<LtxFileInfo[]> {
    return (await this.listing(options)).files
  }

  /** The same listing, with everything else that it shows. @throws StoreError */
  async listing(options: CallOptions = {}): Promise<ReplicaListing> {
    const { layout, ...listing } = await readListing(this.store, this.layout, options)
    if (layout !== this.layout) this.adopt(layout)
    return listing
  }

  /** Whether there is any LTX file, in either layout; ends the listing at the first. @throws StoreError */
  async hasFiles(options: CallOptions = {}): Promise<boolean> {
    for await (const { key } of this.store.list({ signal: options.signal })) {
      if (parseLtxKey(this.layout, key) !== undefined) return true
      if (parseLtxKey(otherLayout(this.layout), key) !== undefined) return true
    }
    return false
  }

  /**
   * Switches to the layout that all the replica's files have.
   *
   * @throws StoreError `Unsupported` without `eitherLayout`: histories in both layouts would be two
   *   replicas under one name
   */
  adopt(layout: ReplicaLayout): void {
    if (!this.#eitherLayout) throw inOtherLayout(this.store, layout)
    this.#layout = layout
  }

  /**
   * The file of exactly this level and range, or `undefined`. `createdAt` is set even on
   * stores that do not list it.
   *
   * @throws StoreError
   */
  async head(
    level: number,
    minTxid: TXID,
    maxTxid: TXID,
    options: CallOptions = {},
  ): Promise<LtxFileInfo | undefined> {
    const object = await this.store.head(ltxKey(this.layout, level, minTxid, maxTxid), options)
    return object === undefined ? undefined : this.#fileInfo(object)
  }

  /**
   * The file's header, by a ranged read of its first 100 bytes.
   *
   * @throws ReplicaError `DamagedObject` if it is not an LTX header or contradicts the file's name
   * @throws ReplicaError `MissingObject` if the object is gone
   * @throws StoreError
   */
  async readHeader(file: LtxFileInfo, options: CallOptions = {}): Promise<LtxHeader> {
    if (file.size < LTX_HEADER_SIZE) throw damaged(file, `has only ${file.size} bytes`)
    const bytes = await this.read(file, { ...options, range: { start: 0, end: LTX_HEADER_SIZE } })
    return decodeHeaderOf(file, bytes)
  }

  /**
   * The checksums of the whole database that the file carries, by a ranged read of its last bytes.
   * `undefined` for a file without them.
   *
   * @throws ReplicaError `MissingObject`, `ObjectChanged`
   * @throws StoreError
   */
  async readChecksums(
    file: LtxFileInfo,
    options: CallOptions = {},
  ): Promise<DatabaseChecksums | undefined> {
    if (file.size < LTX_HEADER_SIZE + CHECKSUM_TAIL_SIZE) return undefined
    const range = { start: file.size - CHECKSUM_TAIL_SIZE, end: file.size }
    return decodeChecksumTail(await this.read(file, { ...options, range }))
  }

  /**
   * The file's bytes. The request is sent when the first chunk is read; leaving the loop frees the
   * connection.
   *
   * @throws ReplicaError `ObjectChanged` if the object's size is not the listed one
   * @throws ReplicaError `MissingObject` if the object is gone
   * @throws StoreError
   */
  async *open(
    file: LtxFileInfo,
    options: CallOptions & { readonly range?: ByteRange | undefined } = {},
  ): AsyncIterable<Uint8Array> {
    const { info, range, body } = await this.#get(file, options)
    const start = options.range?.start ?? 0
    const end = Math.min(options.range?.end ?? file.size, file.size)
    let wrong: ReplicaError | undefined
    if (info.size !== file.size) wrong = changed(file, `${info.size} bytes`)
    else if (range.start !== start || range.end !== end) {
      wrong = changed(file, `the bytes ${range.start} to ${range.end} for ${start} to ${end}`)
    }
    for await (const chunk of body) {
      // Thrown inside the loop, because only leaving it frees the connection.
      if (wrong !== undefined) throw wrong
      yield chunk
    }
    if (wrong !== undefined) throw wrong
  }

  /**
   * Reads the whole file, or the bytes of `range`, into memory.
   *
   * @throws ReplicaError `ObjectChanged` if the store returns another number of bytes
   * @throws ReplicaError `MissingObject` if the object is gone
   * @throws StoreError
   */
  async read(
    file: LtxFileInfo,
    options: CallOptions & { readonly range?: ByteRange | undefined } = {},
  ): Promise<Uint8Array> {
    const { start = 0, end = file.size } = options.range ?? {}
    const size = end - start
    if (size === 0) return new Uint8Array(0)
    let bytes: Uint8Array | undefined
    let length = 0
    for await (const chunk of this.open(file, options)) {
      if (length === 0 && chunk.length === size) bytes = chunk
      else if (length + chunk.length <= size) {
        // Not zeroed first: it is returned only when every byte has been written.
        bytes ??= giveAway(Buffer.allocUnsafeSlow(size))
        bytes.set(chunk, length)
      }
      length += chunk.length
    }
    if (bytes !== undefined && length === size) return bytes
    throw changed(file, `${length} bytes for ${start} to ${end}`)
  }

  /**
   * Stores a new file; never replaces one. Uses a create-only put where the store has it. Elsewhere
   * it checks before the put, which two writers can pass at the same moment.
   *
   * @param options `createdAt`: the time of the file's last transaction, equal to its header's
   * @returns `lastModified` by the local clock
   * @throws StoreError `AlreadyExists` if the file exists, possibly from an earlier attempt of the same
   *   put whose outcome was unknown
   */
  async put(
    level: number,
    minTxid: TXID,
    maxTxid: TXID,
    body: PutBody,
    options: CallOptions & { readonly createdAt: Date },
  ): Promise<LtxFileInfo> {
    const key = ltxKey(this.layout, level, minTxid, maxTxid)
    const { createdAt, signal } = options
    let size: number
    if (this.store.capabilities.ifAbsent === 'atomic') {
      size = (await this.store.put(key, body, { createdAt, signal, ifAbsent: true })).size
    } else {
      if ((await this.store.head(key, { signal })) !== undefined) throw alreadyExists(key)
      size = (await this.store.put(key, body, { createdAt, signal })).size
    }
    const file = { level, minTxid, maxTxid, key, size, createdAt, lastModified: new Date() }
    this.#onStored?.(file)
    return file
  }

  /** Call when a put that seemed to fail has stored its file. */
  recordStored(file: LtxFileInfo): void {
    this.#onStored?.(file)
  }

  /** Deletes files; a file that is already gone counts as deleted. Returns those that remain, and why. */
  async delete(
    files: Iterable<LtxFileInfo>,
    options: CallOptions = {},
  ): Promise<readonly DeleteFailure[]> {
    const keys = Array.from(files, (file) => file.key)
    const failures: DeleteFailure[] = []
    for await (const failure of this.store.deleteMany(keys, options)) failures.push(failure)
    return failures
  }

  async #get(
    file: LtxFileInfo,
    options: CallOptions & { readonly range?: ByteRange | undefined },
  ): ReturnType<ObjectStore['get']> {
    try {
      return await this.store.get(file.key, options)
    } catch (cause) {
      if (!isStoreError(cause)) throw cause
      if (cause.code === 'NotFound') throw missing(file, cause)
      if (cause.code === 'InvalidRange') throw changed(file, 'fewer bytes than requested', cause)
      throw cause
    }
  }

  #fileInfo(object: ObjectInfo): LtxFileInfo | undefined {
    return fileInfo(this.layout, object)
  }
}

function inOtherLayout({ description }: ObjectStore, layout: ReplicaLayout): StoreError {
  const names = layout === 'ltx' ? 'ltx/0 to ltx/9' : '0000 to 0009'
  return new StoreError(
    'Unsupported',
    `The replica in ${description} was copied from another kind of store: its level folders are called ${names}.`,
    {
      op: 'open',
      hint: `To continue in that layout, add layout=${layout} to the URL (for a folder: file:///path?layout=${layout}). For a new history, use another prefix.`,
    },
  )
}

/**
 * Decodes a header and checks it against the file's name: plans go by the name and pages by the
 * header, so they must agree.
 *
 * @throws ReplicaError `DamagedObject`
 */
export function decodeHeaderOf(file: LtxFileInfo, bytes: Uint8Array): LtxHeader {
  let header: LtxHeader
  try {
    header = decodeLtxHeader(bytes)
  } catch (cause) {
    throw damaged(file, 'has no valid LTX header', cause)
  }
  assertHeaderOf(file, header)
  return header
}

/** @throws ReplicaError `DamagedObject` if the header's TXIDs differ from the file's name */
export function assertHeaderOf(file: LtxFileInfo, header: LtxHeader): void {
  if (header.minTxid === file.minTxid && header.maxTxid === file.maxTxid) return
  throw damaged(
    file,
    `holds ${formatTxid(header.minTxid)} to ${formatTxid(header.maxTxid)} according to its header`,
  )
}

function missing(file: LtxFileInfo, cause: unknown): ReplicaError {
  const message = `The object ${file.key} was listed, but it is gone.`
  return new ReplicaError('MissingObject', file.key, message, { cause })
}

function damaged(file: LtxFileInfo, what: string, cause?: unknown): ReplicaError {
  return new ReplicaError('DamagedObject', file.key, `The object ${file.key} ${what}.`, { cause })
}

function changed(file: LtxFileInfo, what: string, cause?: unknown): ReplicaError {
  const message = `The store returned ${what} of ${file.key}, which was listed with ${file.size} bytes.`
  return new ReplicaError('ObjectChanged', file.key, message, { cause })
}

function alreadyExists(key: string): StoreError {
  return new StoreError('AlreadyExists', `The object ${key} already exists.`, { op: 'put', key })
}
