import { mapParallel } from '../async/map-parallel.ts'
import { LtxError } from '../ltx/index.ts'
import { LtxObjectDecoder } from '../replica/ltx-object-decoder.ts'
import {
  type LtxFileInfo,
  type ReplicaClient,
  ReplicaError,
  type ReplicaListing,
} from '../replica/replica-client.ts'
import { isArchived, isStoreError } from '../store/index.ts'
import { type Fault, sizeFaults } from './faults.ts'
import { FactGatherer, type FileFacts } from './file-facts.ts'

/** How far a verification is; for a progress bar. */
export interface VerifyProgress {
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly filesDone: number
  readonly filesTotal: number
}

export interface ReadObjectsOptions {
  /** How many objects are read at a time, as streams. */
  readonly parallelism: number
  /** Recent findings by key; new ones are added. Intact objects in it are not read again. */
  readonly memory: VerifyMemory
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Findings by key, each for the size that the object had. */
export type VerifyMemory = Map<string, { readonly size: number; readonly finding: Finding }>

export interface ReadReplica extends ReplicaListing {
  /** Of the good files, by key. */
  readonly facts: ReadonlyMap<string, FileFacts>
  readonly damage: readonly Fault[]
  readonly filesRead: number
  readonly bytesRead: number
}

/** Listings, the first included, while objects vanish between listing and reading. */
const MAX_LISTINGS = 3

/**
 * Lists a replica and reads every object. If objects vanish in the meantime because of retention,
 * it lists again and reads what is new, so that the result matches one listing. An object that is
 * listed every time but never there counts as damaged.
 *
 * @throws StoreError
 */
export async function readObjects(
  client: ReplicaClient,
  options: ReadObjectsOptions,
): Promise<ReadReplica> {
  const { memory, signal } = options
  const progress = new Progress(options.onProgress)
  for (let listings = 1; ; listings++) {
    const listing = await client.listing({ signal })
    const tooSmall = sizeFaults(listing.files)
    const skipped = new Set(tooSmall.map(({ key }) => key))
    const unknown = listing.files.filter(({ key, size }) => {
      const known = memory.get(key)
      return !skipped.has(key) && (known?.finding.kind !== 'good' || known.size !== size)
    })
    progress.add(unknown)
    await mapParallel(unknown, options.parallelism, async (file) => {
      const onBytes = (bytes: number): void => progress.bytes(bytes)
      memory.set(file.key, {
        size: file.size,
        finding: await readObject(client, file, { onBytes, signal }),
      })
      progress.endFile()
    })
    const facts = new Map<string, FileFacts>()
    const damage = [...tooSmall]
    let gone = false
    for (const { key } of listing.files) {
      const finding = skipped.has(key) ? undefined : memory.get(key)?.finding
      if (finding?.kind === 'good') facts.set(key, finding.facts)
      else if (finding !== undefined) damage.push(finding.fault)
      gone ||= finding?.kind === 'gone'
    }
    if (gone && listings < MAX_LISTINGS) continue
    const { filesRead, bytesRead } = progress
    return { ...listing, facts, damage, filesRead, bytesRead }
  }
}

class Progress {
  filesRead = 0
  bytesRead = 0
  #files = 0
  #bytes = 0
  readonly #report: ((progress: VerifyProgress) => void) | undefined

  constructor(report: ((progress: VerifyProgress) => void) | undefined) {
    this.#report = report
  }

  add(files: readonly LtxFileInfo[]): void {
    this.#files += files.length
    this.#bytes += files.reduce((sum, { size }) => sum + size, 0)
    this.#tell()
  }

  bytes(count: number): void {
    this.bytesRead += count
    this.#tell()
  }

  endFile(): void {
    this.filesRead++
    this.#tell()
  }

  #tell(): void {
    this.#report?.({
      bytesDone: this.bytesRead,
      bytesTotal: this.#bytes,
      filesDone: this.filesRead,
      filesTotal: this.#files,
    })
  }
}

/**
 * Result of reading one object to its end. `gone`: not there, or not as listed, which a new listing
 * may explain.
 */
export type Finding =
  | { readonly kind: 'good'; readonly facts: FileFacts }
  | { readonly kind: 'bad' | 'gone'; readonly fault: Fault }

export interface ReadOptions {
  /** Called with the bytes that have arrived since the last call. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Attempts to read an object that arrives damaged. */
const ATTEMPTS = 3

/**
 * Reads one object to its end and checks it against its name, its listed size and the LTX format.
 * Keeps no page in memory.
 *
 * @throws StoreError if the store cannot be read, which says nothing about the object; the signal's reason
 */
export async function readObject(
  client: ReplicaClient,
  file: LtxFileInfo,
  options: ReadOptions = {},
): Promise<Finding> {
  for (let attempt = 1; ; attempt++) {
    try {
      return { kind: 'good', facts: await decode(client, file, options) }
    } catch (error) {
      options.signal?.throwIfAborted()
      const corrupted = isStoreError(error) && error.code === 'Corrupted'
      if (!corrupted) return findingOf(file, error)
      if (attempt === ATTEMPTS) return bad('Unreadable', file, error.message)
    }
  }
}

async function decode(
  client: ReplicaClient,
  file: LtxFileInfo,
  { onBytes, signal }: ReadOptions,
): Promise<FileFacts> {
  const decoder = new LtxObjectDecoder(file)
  let gatherer: FactGatherer | undefined
  for await (const chunk of client.open(file, { signal })) {
    for (const pages of decoder.write(chunk)) {
      signal?.throwIfAborted()
      if (decoder.header !== undefined) gatherer ??= new FactGatherer(decoder.header)
      for (const { pgno } of pages) gatherer?.add(pgno)
    }
    onBytes?.(chunk.length)
  }
  const { header, checksums } = decoder.end()
  gatherer ??= new FactGatherer(header)
  return gatherer.facts(checksums)
}

function findingOf(file: LtxFileInfo, error: unknown): Finding {
  if (error instanceof LtxError) return bad('Damaged', file, error.message)
  if (isArchived(error)) {
    const hint = error.hint === undefined ? '' : ` ${error.hint}`
    const message = `The object ${file.key} is in an archive tier and cannot be read now.${hint}`
    return { kind: 'bad', fault: { code: 'Archived', key: file.key, message } }
  }
  if (!(error instanceof ReplicaError)) throw error
  const { code, key, message } = error
  if (code === 'DamagedObject') return { kind: 'bad', fault: { code: 'WrongName', key, message } }
  const gone = code === 'MissingObject' ? 'Missing' : 'SizeChanged'
  return { kind: 'gone', fault: { code: gone, key, message } }
}

function bad(code: 'Damaged' | 'Unreadable', { key }: LtxFileInfo, why: string): Finding {
  const what = code === 'Damaged' ? 'is damaged' : 'arrives damaged every time'
  return { kind: 'bad', fault: { code, key, message: `The object ${key} ${what}: ${why}` } }
}
