import { mapParallel } from '../async/map-parallel.ts'
import type { LtxFileInfo, ReplicaClient, ReplicaListing } from '../replica/replica-client.ts'
import type { FileFacts } from './file-facts.ts'
import { type Fault, sizeFaults } from './listing-faults.ts'
import { type Finding, readObject } from './read-object.ts'

/** How far a verification is; for a progress bar. */
export interface VerifyProgress {
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly filesDone: number
  readonly filesTotal: number
}

export interface ReadObjectsOptions {
  /** Objects read at one time, as streams. */
  readonly parallelism: number
  /** What was found out a moment ago, by key; is added to. Good objects in it are not read again. */
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
 * Lists a replica and reads every object. Where objects vanish meanwhile (retention, compaction) it
 * lists anew and reads what is new, so that the result is that of one listing. An object that is
 * listed every time and never there is damage.
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
