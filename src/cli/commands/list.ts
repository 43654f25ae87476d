import { listReplicas } from '../../core/replica/list-replicas.ts'
import { mapParallel } from '../../core/replica/map-parallel.ts'
import { type LtxFileInfo, ReplicaClient } from '../../core/replica/replica-client.ts'
import { type ReplicaSummary, summarizeReplica } from '../../core/replica/summarize-replica.ts'
import type { CommandContext } from '../command-context.ts'
import { parseFlags } from '../flags.ts'
import { formatBytes, formatTable } from '../format.ts'
import { replicaStore } from '../open-store.ts'
import { displayName } from '../replica-names.ts'
import { bucketFlags } from './bucket-flags.ts'

/** Listings in flight at one time: one a database. */
const PARALLEL_LISTINGS = 8

/** A database in the store, as `list --json` prints it. */
interface ListedDatabase extends ReplicaSummary {
  readonly name: string
  /** Times of the first and the last state that can be restored. */
  readonly restorableTimes: { readonly from: Date; readonly to: Date } | undefined
}

/** `walsync list`: what a store holds and what can be restored from it. Reads no LTX file. */
export async function list(
  context: CommandContext,
  flags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { bucket } = parseFlags(bucketFlags, flags)
  const { signal } = context
  const opened = await context.openStore(bucket, { signal, create: false })
  const { store, layout } = opened
  const prefixes = await listReplicas(store, layout, { signal })
  const databases = await mapParallel(prefixes, PARALLEL_LISTINGS, async (prefix) => {
    const files = await new ReplicaClient(replicaStore(opened, prefix), layout).list({ signal })
    return describe(displayName(prefix), files)
  })
  const text = databases.length === 0 ? `No databases in ${store.description}.` : table(databases)
  context.output.result({ store: store.description, databases }, text)
  return 0
}

function describe(name: string, files: readonly LtxFileInfo[]): ListedDatabase {
  const summary = summarizeReplica(files)
  const { restorable } = summary
  const from = timeOf(restorable?.from, files)
  const to = timeOf(restorable?.to, files)
  return { name, ...summary, restorableTimes: from && to && { from, to } }
}

/** Of several files that end at a TXID the one of the lowest level, first in a listing, has its time: a later snapshot is of the same state. */
function timeOf(txid: bigint | undefined, files: readonly LtxFileInfo[]): Date | undefined {
  const file = files.find(({ maxTxid }) => maxTxid === txid)
  return file?.createdAt ?? file?.lastModified
}

function table(databases: readonly ListedDatabase[]): string {
  const heading = [
    'DATABASE',
    'SNAPSHOTS',
    'FILES',
    'SIZE',
    'NEWEST',
    'RESTORABLE FROM',
    'TO',
    'TXIDS',
  ]
  const rows = databases.map(({ name, restorable, restorableTimes, ...summary }) => [
    name,
    String(summary.snapshots),
    String(summary.files),
    formatBytes(summary.bytes),
    summary.newestAt?.toISOString() ?? 'none',
    restorableTimes?.from.toISOString() ?? 'never',
    restorableTimes?.to.toISOString() ?? '',
    restorable === undefined ? '' : `${decimal(restorable.from)} to ${decimal(restorable.to)}`,
  ])
  const gaps = databases.flatMap(({ name, gaps }) =>
    gaps.map(({ from, to }) => `${name}: TXIDs ${decimal(from)} to ${decimal(to)} are missing.`),
  )
  return [formatTable([heading, ...rows]), ...gaps].join('\n')
}

/** As `--txid` takes it; JSON has the 16 hexadecimal digits of file names. */
function decimal(txid: bigint): string {
  return txid.toString()
}
