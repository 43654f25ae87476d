import { randomInt } from 'node:crypto'
import { z } from 'zod'
import { planLevels } from '../../core/compaction/plan-compaction.ts'
import type { MaintenanceEvent } from '../../core/engine/events.ts'
import { ReplicaCatalogue } from '../../core/engine/upkeep/replica-catalogue.ts'
import { ReplicaMaintenance } from '../../core/engine/upkeep/replica-maintenance.ts'
import type { LtxFileInfo, ReplicaClient } from '../../core/replica/replica-client.ts'
import { nodeIdOf } from '../../core/replica/writer-claim/claim-rules.ts'
import { parseFlags, required, settings } from '../args/flags.ts'
import { selectReplicas } from '../args/select-replicas.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { replicaClient } from '../composition/open-store.ts'
import { ExitCode } from '../output/exit-code.ts'
import { formatBytes, formatTable } from '../output/format.ts'
import { errorReport } from '../output/report-error.ts'
import { assertReplicas } from './no-replica.ts'

const compactFlags = z.object({
  bucket: required('bucket'),
  ...settings('levels', 'fencing'),
  all: z.boolean().optional(),
  dryRun: z.boolean().optional(),
})

/**
 * `walsync compact`: merges everything whose interval is over, level by level, as a watcher does.
 * Deletes nothing.
 *
 * @returns 5 if objects are in the way; everything else was merged then
 */
export async function compact(
  context: CommandContext,
  names: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const flags = parseFlags(compactFlags, rawFlags)
  const { output, signal } = context
  if (flags.levels.length === 0) {
    throw new UsageError('--levels none leaves no level to merge into.', 'Leave --levels out.')
  }
  const opened = await context.openStore(flags.bucket, { signal, create: false })
  const replicas = await selectReplicas(names, flags.all === true, opened, signal)
  await assertReplicas(replicas, opened, signal)
  const compactOne = flags.dryRun === true ? planOnly : merge
  let exitCode: number = ExitCode.ok
  for (const { name, prefix } of replicas) {
    const client = replicaClient(opened, prefix, flags.fencing)
    const result = await compactOne(client, flags.levels, signal)
    output.result({ name, ...result }, compactText(name, result))
    if (result.avoided.length > 0) exitCode = ExitCode.integrity
  }
  return exitCode
}

/** Epoch of a writer that claims nothing. */
const NO_CLAIM = 0

async function planOnly(
  client: ReplicaClient,
  intervals: readonly number[],
  signal: AbortSignal,
): Promise<CompactedReplica> {
  const files = await client.list({ signal })
  const levels = planLevels(files, intervals, Date.now()).map(
    ({ level, due }): MergedLevel => ({
      level,
      files: due.reduce((sum, { files }) => sum + files.length, 0),
      merged: due.length,
      bytesBefore: due.reduce((sum, { bytes }) => sum + bytes, 0),
      bytesAfter: undefined,
    }),
  )
  return { dryRun: true, levels, ...waiting(files, intervals), avoided: [] }
}

async function merge(
  client: ReplicaClient,
  intervals: readonly number[],
  signal: AbortSignal,
): Promise<CompactedReplica> {
  const files = await client.list({ signal })
  // Only the listing says which layout the replica has.
  const catalogue = new ReplicaCatalogue(client.layout)
  catalogue.loadListing(files)
  const events: MaintenanceEvent[] = []
  const nodeId = nodeIdOf(NO_CLAIM, randomInt(1, 2 ** 32))
  const options = { levels: intervals, retention: 'none', nodeId } as const
  const maintenance = new ReplicaMaintenance(client, catalogue, options, (event) =>
    events.push(event),
  )
  await maintenance.run(Date.now(), signal)
  const avoided: unknown[] = []
  const levels = intervals.map((_, i) => emptyLevel(i + 1))
  for (const event of events) {
    if (event.type === 'maintenance-error') throw event.error
    if (event.type === 'object-avoided') avoided.push(event.error)
    if (event.type !== 'compacted') continue
    const total = levels[event.level - 1] as MergedLevel
    levels[event.level - 1] = {
      level: event.level,
      files: total.files + event.files,
      merged: total.merged + 1,
      bytesBefore: total.bytesBefore + event.bytesBefore,
      bytesAfter: (total.bytesAfter ?? 0) + event.bytesAfter,
    }
  }
  return { dryRun: false, levels, ...waiting(catalogue.files, intervals), avoided }
}

function emptyLevel(level: number): MergedLevel {
  return { level, files: 0, merged: 0, bytesBefore: 0, bytesAfter: 0 }
}

/** How many files will be merged when their interval is over, and when the first is. */
function waiting(
  files: readonly LtxFileInfo[],
  intervals: readonly number[],
): Pick<CompactedReplica, 'waiting' | 'dueAt'> {
  const later = planLevels(files, intervals, Date.now()).flatMap(({ later }) => later)
  if (later.length === 0) return { waiting: 0, dueAt: undefined }
  const keys = new Set(later.flatMap(({ files }) => files.map(({ key }) => key)))
  return { waiting: keys.size, dueAt: new Date(Math.min(...later.map(({ dueAt }) => dueAt))) }
}

/** What was merged into one level, or would be. */
interface MergedLevel {
  readonly level: number
  readonly files: number
  /** Files made of them. */
  readonly merged: number
  readonly bytesBefore: number
  /** `undefined` in a dry run: nobody knows before the merge. */
  readonly bytesAfter: number | undefined
}

/** What became of one replica, or would. */
interface CompactedReplica {
  readonly dryRun: boolean
  readonly levels: readonly MergedLevel[]
  /** Files whose interval is not over. */
  readonly waiting: number
  /** When the first of these intervals is. */
  readonly dueAt: Date | undefined
  /** Errors of the objects that could not be merged. */
  readonly avoided: readonly unknown[]
}

/** What `walsync compact` prints about one replica. */
function compactText(name: string, result: CompactedReplica): string {
  const { dryRun, levels, waiting, dueAt, avoided } = result
  const done = levels.filter(({ files }) => files > 0)
  const lines: string[] = []
  if (done.length === 0) lines.push(`${name}: nothing to merge.`)
  else lines.push(`${name}: ${dryRun ? 'would be merged' : 'merged'}`, levelTable(done, dryRun))
  if (dueAt !== undefined) {
    const files = waiting === 1 ? '1 file waits' : `${waiting} files wait`
    lines.push(`${files} for the end of an interval, at ${dueAt.toISOString()} or later.`)
  }
  for (const error of avoided) {
    const { message, hint } = errorReport(error)
    lines.push(`Not merged: ${message}`, `  try: ${hint}`)
  }
  return lines.join('\n')
}

function levelTable(levels: readonly MergedLevel[], dryRun: boolean): string {
  const heading = ['LEVEL', 'FILES', 'BECOME', 'BEFORE', 'AFTER']
  const rows = levels.map(({ level, files, merged, bytesBefore, bytesAfter }) => [
    String(level),
    String(files),
    String(merged),
    formatBytes(bytesBefore),
    formatBytes(bytesAfter ?? 0),
  ])
  const columns = dryRun ? 4 : 5
  return formatTable([heading, ...rows].map((row) => row.slice(0, columns)))
}
