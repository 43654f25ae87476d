import { z } from 'zod'
import { ReplicaCatalogue, runCompaction } from '../../core/maintenance/index.ts'
import { planCompaction } from '../../core/policy/plan-compaction.ts'
import { type LtxFileInfo, ReplicaClient } from '../../core/replica/replica-client.ts'
import { RestoreError } from '../../core/restore/restore-error.ts'
import type { CommandContext } from '../command-context.ts'
import { parseFlags } from '../flags.ts'
import { formatBytes, formatTable } from '../format.ts'
import { noReplica } from '../no-replica.ts'
import { type OpenedStore, replicaStore } from '../open-store.ts'
import { levelFlags } from '../retention-flags.ts'
import { type NamedReplica, selectReplicas } from '../select-replicas.ts'
import { bucketFlags } from './bucket-flags.ts'

const compactFlags = bucketFlags.extend({
  ...levelFlags.shape,
  all: z.boolean().optional(),
  dryRun: z.boolean().optional(),
})

/** What was merged into one level, or would be. */
interface LevelResult {
  readonly level: number
  /** Files read, and files made of them. */
  readonly files: number
  readonly merged: number
  readonly bytesBefore: number
  /** `undefined` in a dry run: nobody knows before the merge. */
  readonly bytesAfter: number | undefined
}

/** `walsync compact`: merges everything whose interval is over, level by level. Deletes nothing. */
export async function compact(
  context: CommandContext,
  names: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const flags = parseFlags(compactFlags, rawFlags)
  const { output, signal } = context
  const dryRun = flags.dryRun === true
  const opened = await context.openStore(flags.bucket, { signal, create: false })
  const replicas = await selectReplicas(names, flags.all === true, opened, signal)
  for (const replica of replicas) {
    const levels = await compactOne(opened, replica, flags.levels, dryRun, signal)
    output.result({ name: replica.name, dryRun, levels }, textOf(replica.name, levels, dryRun))
  }
  return 0
}

async function compactOne(
  opened: OpenedStore,
  { name, prefix }: NamedReplica,
  intervals: readonly number[],
  dryRun: boolean,
  signal: AbortSignal,
): Promise<LevelResult[]> {
  const client = new ReplicaClient(replicaStore(opened, prefix), opened.layout)
  const catalogue = new ReplicaCatalogue(opened.layout)
  catalogue.observe(await client.list({ signal }))
  if (catalogue.count === 0) {
    const cause = new RestoreError('NoReplica', `There is no replica under ${prefix}.`)
    throw await noReplica(cause, name, opened, signal)
  }
  const results: LevelResult[] = []
  for (const [index, intervalMs] of intervals.entries()) {
    const now = Date.now()
    const level = index + 1
    const steps = planCompaction(catalogue.files, level, { intervalMs, now })
    let result: LevelResult = { level, files: 0, merged: 0, bytesBefore: 0, bytesAfter: undefined }
    for (const step of steps.filter(({ dueAt }) => dueAt <= now)) {
      const { minTxid, maxTxid, files, bytes } = step
      // A dry run shows what follows in the levels above, too, as if this one had been done.
      const stored: readonly LtxFileInfo[] = dryRun
        ? [{ ...(files.at(-1) as LtxFileInfo), level, minTxid, maxTxid, size: bytes }]
        : await runCompaction(client, step, { signal, nodeId: 0n })
      for (const file of stored) catalogue.add(file)
      result = {
        level,
        files: result.files + files.length,
        merged: result.merged + stored.length,
        bytesBefore: result.bytesBefore + bytes,
        bytesAfter: dryRun ? undefined : (result.bytesAfter ?? 0) + sizeOf(stored),
      }
    }
    results.push(result)
  }
  return results
}

function sizeOf(files: readonly LtxFileInfo[]): number {
  return files.reduce((sum, { size }) => sum + size, 0)
}

function textOf(name: string, levels: readonly LevelResult[], dryRun: boolean): string {
  const done = levels.filter(({ files }) => files > 0)
  if (done.length === 0) return `${name}: nothing to merge.`
  const rows = done.map(({ level, files, merged, bytesBefore, bytesAfter }) => [
    String(level),
    String(files),
    String(merged),
    formatBytes(bytesBefore),
    bytesAfter === undefined ? '' : formatBytes(bytesAfter),
  ])
  const heading = ['LEVEL', 'FILES', 'BECOME', 'BEFORE', 'AFTER']
  const title = dryRun ? `${name}: would be merged` : `${name}: merged`
  return `${title}\n${formatTable([heading, ...rows])}`
}
