import { z } from 'zod'
import type { LtxFileInfo } from '../../core/replica/replica-client.ts'
import { listEpochs, readProtectedSlots } from '../../core/replica/writer-claim/claim-store.ts'
import {
  type KeptPoint,
  planRetention,
  type RetentionPlan,
} from '../../core/retention/plan-retention.ts'
import { pruneReplica } from '../../core/retention/prune-replica.ts'
import { limitsAge, type RetentionPolicy } from '../../core/retention/retention-policy.ts'
import type { DeleteFailure } from '../../core/store/index.ts'
import { RETENTION_SETTINGS, retentionPolicy } from '../args/database-settings.ts'
import { parseFlags, required, settings } from '../args/flags.ts'
import { type NamedReplica, selectReplicas } from '../args/select-replicas.ts'
import type { CommandContext } from '../command-context.ts'
import { type OpenedStore, replicaClient } from '../composition/open-store.ts'
import { ExitCode } from '../output/exit-code.ts'
import { formatBytes, formatTable } from '../output/format.ts'
import { assertReplicas } from './no-replica.ts'

const pruneFlags = z.object({
  bucket: required('bucket'),
  ...settings(...RETENTION_SETTINGS),
  all: z.boolean().optional(),
  dryRun: z.boolean().optional(),
})

/** What became of one replica, or would. */
export interface PrunedReplica {
  readonly name: string
  readonly dryRun: boolean
  readonly plan: RetentionPlan
  readonly deleted: readonly LtxFileInfo[]
  readonly failures: readonly DeleteFailure[]
}

/**
 * `walsync prune`: deletes what retention does not need, with one listing per replica.
 *
 * @returns 4 if objects could not be deleted, 5 if a replica is damaged so that nothing may be
 *   deleted
 */
export async function prune(
  context: CommandContext,
  names: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const flags = parseFlags(pruneFlags, rawFlags)
  const { output, signal } = context
  const policy = retentionPolicy(flags)
  const opened = await context.openStore(flags.bucket, { signal, create: false })
  const replicas = await selectReplicas(names, flags.all === true, opened, signal)
  await assertReplicas(replicas, opened, signal)
  let exitCode: number = ExitCode.ok
  for (const replica of replicas) {
    const pruned = await pruneOne(opened, replica, policy, flags.dryRun === true, signal)
    output.result(jsonOf(pruned), pruneText(pruned, policy))
    if (pruned.plan.blocked !== undefined) exitCode = ExitCode.integrity
    else if (pruned.failures.length > 0) exitCode = Math.max(exitCode, ExitCode.store)
  }
  return exitCode
}

async function pruneOne(
  opened: OpenedStore,
  { name, prefix }: NamedReplica,
  policy: RetentionPolicy,
  dryRun: boolean,
  signal: AbortSignal,
): Promise<PrunedReplica> {
  const client = replicaClient(opened, prefix)
  const epochs = await listEpochs(client.store, { signal })
  const protectedSlots = await readProtectedSlots(client.store, epochs, Date.now(), { signal })
  const files = await client.list({ signal })
  const now = Date.now()
  const plan = planRetention(files, policy, now, { protectedSlots })
  if (dryRun) return { name, dryRun, plan, deleted: [], failures: [] }
  return { name, dryRun, plan, ...(await pruneReplica(client, plan, { signal })) }
}

function jsonOf({ name, dryRun, plan, deleted, failures }: PrunedReplica): object {
  const { keep, remove, restorePoints, blocked } = plan
  return {
    name,
    dryRun,
    blocked,
    remove: remove.map(({ key, size }) => ({ key, size })),
    deleted: deleted.length,
    failures: failures.map(({ key, error }) => ({ key, message: error.message })),
    kept: keep.length,
    points: restorePoints.map(({ txid, time, why }) => ({ txid, time: new Date(time), why })),
  }
}

/** Failures shown one by one. */
const MAX_FAILURES = 5

/** What `walsync prune` prints about one replica. */
function pruneText(pruned: PrunedReplica, policy: RetentionPolicy): string {
  const { name, dryRun, plan, deleted, failures } = pruned
  if (plan.blocked !== undefined)
    return `${name}: nothing is deleted, because ${BLOCKED[plan.blocked]}`
  const gone = dryRun ? plan.remove : deleted
  const lines = [`${name}: ${headline(gone, dryRun)}`]
  if (gone.length > 0) lines.push(levelTable(gone, plan.keep))
  lines.push(stays(plan.restorePoints))
  if (!limitsAge(policy)) {
    lines.push(
      'No --keep-for, --keep-last, --keep-hourly … was given: history is thinned out, and its beginning stays.',
    )
  }
  for (const { key, error } of failures.slice(0, MAX_FAILURES)) {
    lines.push(`Not deleted: ${key}: ${error.message}`)
  }
  const more = failures.length - MAX_FAILURES
  if (more > 0) lines.push(`And ${more} more could not be deleted; prune again.`)
  return lines.join('\n')
}

const BLOCKED = {
  gap: 'transactions are missing before its newest state. walsync verify says which, walsync repair gives it a new base.',
  damaged:
    'its newest state takes damaged objects. walsync verify says which, walsync repair gives it a new base.',
} as const

function headline(gone: readonly LtxFileInfo[], dryRun: boolean): string {
  if (gone.length === 0) return dryRun ? 'nothing would be deleted.' : 'nothing to delete.'
  const what = `${gone.length} ${gone.length === 1 ? 'file' : 'files'}, ${formatBytes(sizeOf(gone))}`
  return dryRun ? `${what} would be deleted.` : `${what} deleted.`
}

function levelTable(gone: readonly LtxFileInfo[], keep: readonly LtxFileInfo[]): string {
  const levels = [...new Set([...gone, ...keep].map(({ level }) => level))].sort((a, b) => a - b)
  const rows = levels.map((level) => {
    const [going, staying] = [gone, keep].map((files) => files.filter((f) => f.level === level))
    return [
      level === 9 ? '9 (snapshots)' : String(level),
      String(going?.length),
      formatBytes(sizeOf(going ?? [])),
      String(staying?.length),
      formatBytes(sizeOf(staying ?? [])),
    ]
  })
  return formatTable([['LEVEL', 'GO', 'SIZE', 'STAY', 'SIZE'], ...rows])
}

function stays(points: readonly KeptPoint[]): string {
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined) return 'No state can be restored.'
  if (points.length === 1) return `One state stays restorable, of ${at(last)}.`
  const rules = new Map<string, number>()
  for (const { why } of points) {
    for (const rule of why) rules.set(rule, (rules.get(rule) ?? 0) + 1)
  }
  const byRule = [...rules].map(([rule, count]) => `${rule} ${count}`).join(', ')
  return `${points.length} states stay restorable, from ${at(first)} to ${at(last)} (${byRule}).`
}

function at({ time, txid }: KeptPoint): string {
  return `${new Date(time).toISOString()} (TXID ${txid})`
}

function sizeOf(files: readonly LtxFileInfo[]): number {
  return files.reduce((sum, { size }) => sum + size, 0)
}
