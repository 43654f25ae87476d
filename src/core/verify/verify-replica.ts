import { mapParallel } from '../async/map-parallel.ts'
import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo, ReplicaClient } from '../replica/replica-client.ts'
import { RestoreError } from '../restore/restore-error.ts'
import { findStateTime } from '../restore/restore-time.ts'
import { type Assessment, assess } from './assess.ts'
import { sizeFaults } from './faults.ts'
import {
  type ReadReplica,
  readObjects,
  type VerifyMemory,
  type VerifyProgress,
} from './read-objects.ts'
import type { VerifyDepth, VerifyReport } from './verify-report.ts'

export type { VerifyMemory, VerifyProgress } from './read-objects.ts'

/** How many headers are read at a time. */
const PARALLEL_READS = 8

export interface VerifyOptions {
  /** Default `full`. */
  readonly depth?: VerifyDepth | undefined
  /** How many objects are read at a time. Each takes a stream and up to 16 MiB while its pages are decoded. Default 8. */
  readonly parallelism?: number | undefined
  /** A TXID that is known to have been stored: a replica that ends before it is damaged, which a listing alone cannot show. */
  readonly atLeast?: TXID | undefined
  /**
   * Findings of a recent verification, to which new ones are added. Objects that were intact are
   * not read again.
   */
  readonly memory?: VerifyMemory | undefined
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Verifies a replica: what is damaged, which states that costs, and what can be restored. Writes
 * nothing. Objects are streamed, so memory grows only by some hundred bytes per object, and nine bytes
 * for each page of the files that are being read.
 *
 * @throws RestoreError `NoReplica` if there is no LTX file
 * @throws StoreError if the store cannot be read, which says nothing about the replica
 * @throws the signal's reason
 */
export async function verifyReplica(
  client: ReplicaClient,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const started = performance.now()
  const { depth = 'full', parallelism = 8, memory = new Map(), atLeast } = options
  const { onProgress, signal } = options
  if (!Number.isInteger(parallelism) || parallelism < 1) {
    throw new RangeError(`Expected \`parallelism\` to be a positive integer, got ${parallelism}.`)
  }
  signal?.throwIfAborted()
  const read =
    depth === 'full'
      ? await readObjects(client, { parallelism, memory, onProgress, signal })
      : await readNothing(client, signal)
  const { files, facts, damage, foreign, filesRead, bytesRead } = read
  if (files.length === 0) throw noReplica()
  const evidence = { depth, files, facts, damage, atLeast }
  let assessment = await assess(evidence)
  if (depth === 'quick' && files.some(({ createdAt }) => createdAt === undefined)) {
    const times = await readTimes(client, files, namedStates(assessment), signal)
    assessment = await assess({ ...evidence, times })
  }
  return {
    depth,
    files: files.length,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    filesRead,
    bytesRead,
    foreign,
    durationMs: Math.round(performance.now() - started),
    ...assessment,
  }
}

async function readNothing(
  client: ReplicaClient,
  signal: AbortSignal | undefined,
): Promise<ReadReplica> {
  const listing = await client.listing({ signal })
  const damage = sizeFaults(listing.files)
  return { ...listing, facts: new Map(), damage, filesRead: 0, bytesRead: 0 }
}

/** The TXIDs whose times a report names. */
function namedStates({ restorable, lost, defects, latest }: Assessment): Set<TXID> {
  const spans = [...restorable, ...lost, ...defects.flatMap(({ cost }) => cost)]
  return new Set([latest.txid, ...spans.flatMap(({ from, to }) => [from, to])])
}

/** From headers of 100 bytes, if the store does not list the times of files. */
async function readTimes(
  client: ReplicaClient,
  files: readonly LtxFileInfo[],
  states: ReadonlySet<TXID>,
  signal: AbortSignal | undefined,
): Promise<Map<TXID, Date>> {
  const times = new Map<TXID, Date>()
  await mapParallel([...states], PARALLEL_READS, async (txid) => {
    const time = await findStateTime(client, files, txid, { signal })
    if (time !== undefined) times.set(txid, time)
  })
  return times
}

function noReplica(): RestoreError {
  return new RestoreError('NoReplica', 'This replica has no LTX files.', {
    hint: 'Check the name and the store URL. `walsync list` shows the replicas of a store.',
  })
}
