import type { FileHandle } from 'node:fs/promises'
import type { ReplicaClient } from '../replica/replica-client.ts'
import { DatabaseImage } from './database-image.ts'
import { FileRanges } from './file-ranges.ts'
import { decoderThreadsFor, RangePool, ThreadEnded } from './range-pool.ts'
import type { RestorePlan } from './restore-plan.ts'
import { readSegments, type Segment } from './segment-reader.ts'

/** Progress of a restore. */
export interface RestoreProgress {
  readonly phase: 'read' | 'check'
  /** Of the files of the plan. Files that turn out not to be needed count as done at the end. */
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly filesDone: number
  readonly filesTotal: number
}

export interface ApplyOptions {
  readonly parallelism: number
  /** Default: as many as help with this plan. */
  readonly threads?: number | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface AppliedPlan {
  readonly pageSize: number
  /** Size of the database in pages. */
  readonly commit: number
  /** Of the newest file, in milliseconds since 1970. */
  readonly timestamp: number
  readonly filesRead: number
  readonly bytesRead: number
}

/**
 * Writes the database of a plan into an empty file. Newest file first: a page counts if no newer
 * file has it and every newer file's database still reached that far, so that each page is written
 * once. Stops when all pages are there; older files are not read at all then. Every file that is
 * read is read to its end and its checksum verified. The lock page stays a hole of zeros. Where the
 * newest file carries the checksum of the whole database, the result must have it.
 *
 * @throws RestoreError `DamagedObject`, `MissingPage`, `PageSizeMismatch`, `ChecksumMismatch`
 * @throws ReplicaError, StoreError for an object that cannot be read
 */
export async function applyPlan(
  client: ReplicaClient,
  plan: RestorePlan,
  handle: FileHandle,
  options: ApplyOptions,
): Promise<AppliedPlan> {
  const threads = options.threads ?? decoderThreadsFor(plan.files.map(({ size }) => size))
  try {
    return await applyWith(threads, client, plan, handle, options)
  } catch (error) {
    if (!(error instanceof ThreadEnded)) throw error
    return applyWith(0, client, plan, handle, options)
  }
}

async function applyWith(
  threads: number,
  client: ReplicaClient,
  plan: RestorePlan,
  handle: FileHandle,
  { parallelism, onProgress, signal }: ApplyOptions,
): Promise<AppliedPlan> {
  const image = new DatabaseImage(plan, handle)
  const pool = new RangePool(image, handle.fd, threads)
  const report = (bytesDone: number, filesDone: number): void =>
    onProgress?.({
      phase: 'read',
      bytesDone,
      bytesTotal: plan.bytes,
      filesDone,
      filesTotal: plan.files.length,
    })
  try {
    report(0, 0)
    const segments = readSegments(client, plan.files.toReversed(), { parallelism, signal })
    const read = await decodeAll(segments, image, pool, report, signal)
    const { pageSize, commit, timestamp } = await image.finish()
    report(plan.bytes, plan.files.length)
    return { pageSize, commit, timestamp, ...read }
  } finally {
    await pool.close()
    await image.settle()
  }
}

/** Decodes files until all pages are there, and verifies those that were read. */
async function decodeAll(
  segments: AsyncIterable<Segment>,
  image: DatabaseImage,
  pool: RangePool,
  report: (bytesDone: number, filesDone: number) => void,
  signal: AbortSignal | undefined,
): Promise<Pick<AppliedPlan, 'filesRead' | 'bytesRead'>> {
  const verified = new InOrder()
  let current: FileRanges | undefined
  let filesRead = 0
  let bytesRead = 0
  try {
    for await (const { file, bytes, last } of segments) {
      verified.throwFailure()
      current ??= new FileRanges(file, image, pool)
      await current.take(bytes, signal)
      bytesRead += bytes.length
      if (last) {
        current.end()
        verified.add(current.verify())
        current = undefined
        filesRead++
        if (image.complete) break
      }
      report(bytesRead, filesRead)
    }
  } catch (error) {
    signal?.throwIfAborted()
    // What is wrong with earlier bytes comes first, whichever thread found it.
    await verified.all()
    await current?.settle()
    throw error
  }
  await verified.all()
  return { filesRead, bytesRead }
}

/** Promises of which the first that fails counts, in their order. */
class InOrder {
  readonly #promises: Promise<void>[] = []
  #failure: { readonly error: unknown } | undefined

  add(promise: Promise<void>): void {
    promise.catch((error: unknown) => {
      this.#failure ??= { error }
    })
    this.#promises.push(promise)
  }

  /** Throws if any has failed by now. */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async all(): Promise<void> {
    for (const promise of this.#promises) await promise
  }
}
