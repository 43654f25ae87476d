import type { FileHandle } from 'node:fs/promises'
import { LtxObjectDecoder } from '../replica/ltx-object-decoder.ts'
import type { ReplicaClient } from '../replica/replica-client.ts'
import { DatabaseImage } from './database-image.ts'
import type { RestorePlan } from './restore-plan.ts'
import { readSegments } from './segment-reader.ts'

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
  const image = new DatabaseImage(plan, handle)
  let filesRead = 0
  let bytesRead = 0
  const report = (): void =>
    options.onProgress?.({
      phase: 'read',
      bytesDone: bytesRead,
      bytesTotal: plan.bytes,
      filesDone: filesRead,
      filesTotal: plan.files.length,
    })
  try {
    report()
    const { parallelism, signal } = options
    let decoder: LtxObjectDecoder | undefined
    for await (const segment of readSegments(client, plan.files.toReversed(), {
      parallelism,
      signal,
    })) {
      decoder ??= new LtxObjectDecoder(segment.file)
      await image.take(segment.file, decoder, segment.bytes, signal)
      bytesRead += segment.bytes.length
      if (segment.last) {
        image.endFile(segment.file, decoder)
        filesRead++
        if (image.complete) break
        decoder = undefined
      }
      report()
    }
    const newest = await image.finish()
    const { pageSize, commit, timestamp } = newest
    options.onProgress?.({
      phase: 'read',
      bytesDone: plan.bytes,
      bytesTotal: plan.bytes,
      filesDone: plan.files.length,
      filesTotal: plan.files.length,
    })
    return { pageSize, commit, timestamp, filesRead, bytesRead }
  } finally {
    await image.settle()
  }
}
