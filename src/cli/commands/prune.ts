import { z } from 'zod'
import type { LtxFileInfo } from '../../core/replica/replica-client.ts'
import { listEpochs, readProtectedSlots } from '../../core/replica/writer-claim/claim-store.ts'
import { planRetention, type RetentionPlan } from '../../core/retention/plan-retention.ts'
import { pruneReplica } from '../../core/retention/prune-replica.ts'
import type { RetentionPolicy } from '../../core/retention/retention-policy.ts'
import type { DeleteFailure } from '../../core/store/index.ts'
import { RETENTION_SETTINGS, retentionPolicy } from '../args/database-settings.ts'
import { parseFlags, required, settings } from '../args/flags.ts'
import { type NamedReplica, selectReplicas } from '../args/select-replicas.ts'
import type { CommandContext } from '../command-context.ts'
import { type OpenedStore, replicaClient } from '../composition/open-store.ts'
import { ExitCode } from '../output/exit-code.ts'
import { assertReplicas } from './assert-replicas.ts'
import { pruneText } from './prune-text.ts'

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
 * `walsync prune`: deletes what the retention does not ask for, of each replica by a listing of its own.
 *
 * @returns 4 if objects could not be deleted, 5 if a replica is damaged so that nothing may be deleted
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
