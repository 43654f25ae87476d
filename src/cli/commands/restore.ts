import { resolve } from 'node:path'
import type { ReplicaClient } from '../../core/replica/replica-client.ts'
import { outputExists } from '../../core/restore/output-file.ts'
import { type RestoreResult, restoreReplica } from '../../core/restore/restore.ts'
import { planFor } from '../../core/restore/restore-attempts.ts'
import { RestoreError } from '../../core/restore/restore-error.ts'
import { planToJson, renderPlan } from '../../core/restore/restore-plan.ts'
import type { RestoreTarget } from '../../core/restore/restore-target.ts'
import { prefixOf } from '../args/replica-names.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { replicaClient } from '../composition/open-store.ts'
import { ExitCode } from '../output/exit-code.ts'
import { formatBytes, plural } from '../output/format.ts'
import { createProgress } from '../output/progress.ts'
import { OtherFormats } from './other-formats.ts'
import { restoreAll } from './restore-all.ts'
import { parseRestoreFlags, type RestoreFlags } from './restore-flags.ts'

/**
 * `walsync restore`: restores a database to the latest state, a time or a TXID, from LTX files or
 * else from a replica of walsync 0.1.
 *
 * Before an application starts, `--if-missing` and `--if-replica-exists` make it one line that is
 * right on each start; whatever else goes wrong stays an error. `--all` restores every replica into
 * a folder.
 *
 * @returns 0; 5 for a replica of walsync 0.1 that is not shown to be complete
 */
export async function restore(
  context: CommandContext,
  [name]: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const flags = await parseRestoreFlags(rawFlags)
  if (flags.all === true) {
    if (name === undefined) return await restoreAll(context, flags)
    throw new UsageError('--all means every replica, and a name was given too.', 'Leave one out.')
  }
  if (name !== undefined) return await restoreOne(context, name, flags)
  throw new UsageError('No replica was named.', 'Give a name, or --all for every replica.')
}

async function restoreOne(
  context: CommandContext,
  name: string,
  flags: RestoreFlags,
): Promise<number> {
  const { target } = flags
  const prefix = prefixOf(name)
  const { signal } = context
  const path = resolve(context.cwd, flags.output)
  if (flags.ifMissing === true && (await outputExists(path)))
    return nothingToDo(context, name, path, 'present')
  const opened = await context.openStore(flags.bucket, { signal, create: false })
  const client = replicaClient(opened, prefix)
  const restored = new OtherFormats(context, flags.bucket, opened).orOther(
    name,
    async () => {
      if (flags.dryRun === true) await printPlan(context, client, target)
      else await run(context, client, target, { name, path, flags })
      return ExitCode.ok
    },
    (other) => other.restore(context, target, flags),
    { orEarlier: target.kind === 'time' },
  )
  try {
    return await restored
  } catch (error) {
    const isAbsent = error instanceof RestoreError && error.code === 'NoReplica'
    if (flags.ifReplicaExists !== true || !isAbsent) throw error
    return nothingToDo(context, name, path, 'no-replica')
  }
}

function nothingToDo(
  { output }: CommandContext,
  name: string,
  path: string,
  reason: 'present' | 'no-replica',
): number {
  const text =
    reason === 'present'
      ? `nothing restored: ${path} exists`
      : `nothing restored: there is no replica of ${name} yet`
  output.result({ name, path, restored: false, reason }, text)
  return ExitCode.ok
}

async function printPlan(
  { output, logger, signal }: CommandContext,
  client: ReplicaClient,
  target: RestoreTarget,
): Promise<void> {
  const plan = await planFor(client, target, { signal })
  for (const warning of plan.warnings) logger.warn(warning)
  output.result(planToJson(plan), renderPlan(plan))
}

async function run(
  context: CommandContext,
  client: ReplicaClient,
  target: RestoreTarget,
  {
    name,
    path,
    flags,
  }: { readonly name: string; readonly path: string; readonly flags: RestoreFlags },
): Promise<void> {
  const progress = createProgress('restore', context.terminal)
  let result: RestoreResult
  try {
    result = await restoreReplica(client, target, path, {
      force: flags.force,
      mode: flags.mode,
      owner: flags.owner,
      integrityCheck: flags.integrityCheck,
      parallelism: flags.parallelism,
      signal: context.signal,
      onProgress: ({ bytesDone, bytesTotal }) => progress.update(bytesDone, bytesTotal),
    })
  } finally {
    progress.stop()
  }
  for (const { key, reason } of result.avoided) {
    context.logger.warn({ key }, `the replica needs repair: ${reason}`)
  }
  for (const warning of result.warnings) context.logger.warn(warning)
  context.output.result(resultJson(name, path, result), resultText(name, path, result))
}

function resultJson(name: string, path: string, { plan, time, ...result }: RestoreResult): object {
  return { name, path, txid: plan.txid, time, ...result }
}

function resultText(name: string, path: string, result: RestoreResult): string {
  const { plan, time, bytes, filesRead, bytesRead, durationMs, integrityCheck } = result
  const state = `TXID ${plan.txid.toString()}${time === undefined ? '' : `, ${time.toISOString()}`}`
  const checked =
    integrityCheck === 'none' ? 'not checked by SQLite' : `${integrityCheck} integrity check ok`
  return [
    `restored ${name} to ${path}`,
    `  state: ${state}`,
    `  database: ${formatBytes(bytes)}, ${checked}`,
    `  read: ${formatBytes(bytesRead)} from ${plural(filesRead, 'file')} in ${durationMs} ms`,
  ].join('\n')
}
