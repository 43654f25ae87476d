import type { TXID } from '../ltx/index.ts'
import type { ReplicaClient } from '../replica/replica-client.ts'
import { RestoreError } from '../restore/restore-error.ts'
import { assess } from './assess.ts'
import { sizeFaults } from './faults.ts'
import {
  type ReadReplica,
  readObjects,
  type VerifyMemory,
  type VerifyProgress,
} from './read-objects.ts'
import type { VerifyDepth, VerifyReport } from './verify-report.ts'

export type { VerifyMemory, VerifyProgress } from './read-objects.ts'

export interface VerifyOptions {
  /** Default `full`. */
  readonly depth?: VerifyDepth | undefined
  /** Objects read at one time. Each takes a stream and up to 16 MiB while its pages are decoded. Default 8. */
  readonly parallelism?: number | undefined
  /** A TXID that is known to have been stored: a replica that ends before it is damaged. A listing alone cannot tell. */
  readonly atLeast?: TXID | undefined
  /** Findings of a verification a moment ago: objects that were good are not read again. Is added to. */
  readonly memory?: VerifyMemory | undefined
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Says whether a replica is good: what is damaged, what that costs, and what can be restored. Writes
 * nothing. Objects are streamed, so memory does not grow with them, apart from some hundred bytes an
 * object and nine for each page of the files that are being read.
 *
 * @throws RestoreError `NoReplica` if there is no LTX file at all
 * @throws StoreError if the store cannot be read: that is no finding about the replica
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
  const assessment = await assess({ depth, files, facts, damage, atLeast })
  return {
    depth,
    files: files.length,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    filesRead,
    bytesRead,
    foreign,
    durationMs: performance.now() - started,
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

function noReplica(): RestoreError {
  return new RestoreError('NoReplica', 'There is no LTX file under this replica.', {
    hint: 'Check the name and the store URL: `walsync list` shows what is there.',
  })
}
