import type { SourceDatabase } from '../../db/index.ts'
import { type ReplicaClient, ReplicaError } from '../../replica/replica-client.ts'
import type { ReplicaHead } from '../../replica/replica-head.ts'
import { type DatabaseSums, readSums } from './database-sums.ts'

/**
 * Is the database now what the replica ends with, by the checksum of all its pages? That proves what
 * no WAL can after its application has closed it. The capture then stands at the state that was read.
 *
 * @returns checksums of its pages, or `undefined` if it is another one or the replica does not say
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

/** What a start that its WAL has proven finds in the main file. */
export type MainFileFinding =
  | { readonly belongs: true; readonly sums: DatabaseSums }
  /** The replica's newest file does not say what the database was. */
  | { readonly belongs: undefined; readonly sums: DatabaseSums }
  | { readonly belongs: false }

/**
 * The WAL proves that it goes on where the replica ends, and says nothing of the pages under it: the
 * main file may have been replaced meanwhile, beside a log that was kept. The capture must stand at
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

/** A newest file that has gone or changed meanwhile proves nothing. */
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
