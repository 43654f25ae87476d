import { z } from 'zod'
import { mapParallel } from '../../core/async/map-parallel.ts'
import type { TXID } from '../../core/ltx/index.ts'
import type { LtxFileInfo, ReplicaClient } from '../../core/replica/replica-client.ts'
import {
  type ReplicaSummary,
  summarizeReplica,
  type TxidRange,
} from '../../core/replica/summarize-replica.ts'
import { findStateTime } from '../../core/restore/restore-time.ts'
import { parseFlags, required } from '../args/flags.ts'
import { displayName } from '../args/replica-names.ts'
import type { CommandContext } from '../command-context.ts'
import { replicaClient } from '../composition/open-store.ts'
import { ExitCode } from '../output/exit-code.ts'
import { formatBytes, formatTable } from '../output/format.ts'
import { findReplicas } from './find-replicas.ts'
import type { ListedLegacy } from './other-replica.ts'

const listFlags = z.object({ bucket: required('bucket') })

/** How many databases are listed at a time. */
const PARALLEL_LISTINGS = 8

/** A database in the store, as `list --json` prints it. */
interface ListedReplica extends ReplicaSummary {
  readonly name: string
  readonly format: 'ltx'
  /** Times of the first and the last state that can be restored. */
  readonly restorableTimes: { readonly from: Date; readonly to: Date } | undefined
}
type ListedDatabase = ListedReplica | ListedLegacy

/**
 * `walsync list`: what a store holds and what can be restored from it. Reads names and sizes, and
 * on a store that does not list the times of files, up to three headers per database.
 */
export async function list(
  context: CommandContext,
  flags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { bucket } = parseFlags(listFlags, flags)
  const { signal } = context
  const opened = await context.openStore(bucket, { signal, create: false })
  const { store } = opened
  const { prefixes, others } = await findReplicas(context, bucket, opened)
  const replicas = await mapParallel(prefixes, PARALLEL_LISTINGS, async (prefix) => {
    const client = replicaClient(opened, prefix)
    const files = await client.list({ signal })
    return await describe(displayName(prefix), client, files, signal)
  })
  const described = await mapParallel(others, PARALLEL_LISTINGS, (other) => other.describe(signal))
  const legacy = described.flatMap(({ database }) => database ?? [])
  const unreadable = described.flatMap((other) => other.unreadable ?? [])
  const databases: ListedDatabase[] = [...replicas, ...legacy]
  const notes = described
    .toSorted((a, b) => Number(a.database === undefined) - Number(b.database === undefined))
    .map(({ note }) => note)
  const none = databases.length + unreadable.length === 0
  const text = none ? `No databases in ${store.description}.` : table(databases, notes)
  context.output.result({ store: store.description, databases, unreadable }, text)
  return ExitCode.ok
}

async function describe(
  name: string,
  client: ReplicaClient,
  files: readonly LtxFileInfo[],
  signal: AbortSignal,
): Promise<ListedReplica> {
  const summary = summarizeReplica(files)
  const timeOf = async (txid: TXID | undefined): Promise<Date | undefined> =>
    txid && (await findStateTime(client, files, txid, { signal }))
  const { newestTxid, restorable } = summary
  const newestAt = await timeOf(newestTxid)
  const from = await timeOf(restorable?.from)
  const to = restorable?.to === newestTxid ? newestAt : await timeOf(restorable?.to)
  return { name, format: 'ltx', ...summary, newestAt, restorableTimes: from && to && { from, to } }
}

function table(databases: readonly ListedDatabase[], notes: readonly string[]): string {
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
  const rows = databases.map((database) => [
    database.name,
    String(database.snapshots),
    String(database.files),
    formatBytes(database.bytes),
    database.newestAt?.toISOString() ?? 'none',
    ...reach(database),
  ])
  const gaps = databases.flatMap(({ name, gaps }) => gaps.map((gap) => `${name}: ${gapText(gap)}.`))
  const lines = databases.length === 0 ? [] : [formatTable([heading, ...rows])]
  return [...lines, ...gaps, ...notes].join('\n')
}

function gapText({ from, to }: TxidRange): string {
  if (from === to) return `TXID ${decimal(from)} is missing`
  return `TXIDs ${decimal(from)} to ${decimal(to)} are missing`
}

function reach(database: ListedDatabase): [from: string, to: string, txids: string] {
  if (database.format === 'walsync-0.1') {
    const { from, to } = database.stored
    return [from.toISOString(), to.toISOString(), 'walsync 0.1']
  }
  const { restorable, restorableTimes } = database
  return [
    restorableTimes?.from.toISOString() ?? 'never',
    restorableTimes?.to.toISOString() ?? '',
    restorable === undefined ? '' : `${decimal(restorable.from)} to ${decimal(restorable.to)}`,
  ]
}

/** As `--txid` takes it; JSON has the 16 hexadecimal digits of file names. */
function decimal(txid: bigint): string {
  return txid.toString()
}
