import type { SourceDatabase } from '../../db/index.ts'
import { type ReplicaClient, ReplicaError } from '../../replica/replica-client.ts'
import type { ReplicaHead } from '../../replica/replica-head.ts'
import { type DatabaseSums, readSums } from './database-sums.ts'

/**
 * Compares the database with the end of the replica by the checksum of all pages. That proves
 * continuity where no WAL can, after the application has closed and deleted it. The capture is then
 * at the state that was read.
 *
 * @returns checksums of its pages, or `undefined` if the states differ or the replica has no
 *   checksum
 * @throws StoreError, DatabaseError; the signal's reason
 */
export async function proveByChecksum(
  client: ReplicaClient,
  { header, newest }: ReplicaHead,
  source: SourceDatabase,
  signal: AbortSignal,
): Promise<DatabaseSums | undefined> {
  if (header === undefined || newest === undefined) return undefined
  if (header.pageSize !== source.pageSize) return undefined
  const after = await checksumOf(client, newest, signal)
  if (after === undefined) return undefined
  const view = await source.capture.pinFullView(signal)
  if (view.commit !== header.commit) return undefined
  const sums = await readSums(source, view, signal)
  return sums.value === after ? sums : undefined
}

/** Whether the main file belongs to a WAL that continues the replica. */
export type MainFileFinding =
  | { readonly belongs: true; readonly sums: DatabaseSums }
  /** The replica's newest file has no checksum of the database. */
  | { readonly belongs: undefined; readonly sums: DatabaseSums }
  | { readonly belongs: false }

/**
 * The WAL can prove that it continues where the replica ends, but says nothing about the pages
 * below it: the main file may have been replaced while the log was kept. The capture must be at
 * that end, with everything under its mark captured.
 *
 * @throws StoreError, DatabaseError; the signal's reason
 */
export async function checkMainFile(
  client: ReplicaClient,
  { newest }: ReplicaHead,
  source: SourceDatabase,
  signal: AbortSignal,
): Promise<MainFileFinding> {
  const after = newest && (await checksumOf(client, newest, signal))
  const sums = await readSums(source, await source.capture.view(), signal)
  if (after === undefined) return { belongs: undefined, sums }
  return sums.value === after ? { belongs: true, sums } : { belongs: false }
}

/** If the newest file has been deleted or changed in the meantime, it proves nothing. */
async function checksumOf(
  client: ReplicaClient,
  newest: NonNullable<ReplicaHead['newest']>,
  signal: AbortSignal,
): Promise<bigint | undefined> {
  try {
    return (await client.readChecksums(newest, { signal }))?.after
  } catch (error) {
    if (error instanceof ReplicaError) return undefined
    throw error
  }
}
