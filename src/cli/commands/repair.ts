import { z } from 'zod'
import type { TakenSnapshot } from '../../core/engine/snapshots/take-snapshot.ts'
import { type Repair, repairReplica } from '../../core/repair/index.ts'
import { RestoreError } from '../../core/restore/restore-error.ts'
import { nameDatabases } from '../args/database-names.ts'
import { flag, parseFlags, required, settings } from '../args/flags.ts'
import { replicaName } from '../args/kinds.ts'
import type { CommandContext } from '../command-context.ts'
import { replicaStore } from '../composition/open-store.ts'
import { ExitCode } from '../output/exit-code.ts'
import { formatBytes } from '../output/format.ts'
import { createProgress } from '../output/progress.ts'
import { noReplica } from './no-replica.ts'
import { defectLines, spansText } from './verify-text.ts'

const repairFlags = z.object({
  bucket: required('bucket'),
  ...settings('fencing'),
  name: flag(replicaName()).optional(),
  force: z.boolean().optional(),
})

/**
 * `walsync repair`: makes the newest state of a damaged replica restorable again, from its database.
 *
 * @returns 0 if the newest state can be restored, whatever else stays lost; else 5
 */
export async function repair(
  context: CommandContext,
  paths: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const flags = parseFlags(repairFlags, rawFlags)
  const { cwd, output, signal } = context
  const [database] = nameDatabases(paths, { cwd, name: flags.name })
  if (database === undefined) throw new TypeError('Expected the path of a database.')
  const { name, prefix, path } = database
  const opened = await context.openStore(flags.bucket, { signal, create: false })
  const verifying = createProgress(`verify ${name}`, context.terminal)
  const copying = createProgress('snapshot', context.terminal)
  let done: Repair
  try {
    const store = replicaStore(opened, prefix, flags.fencing)
    done = await repairReplica(name, path, store, opened.layout, {
      force: flags.force,
      signal,
      onVerify: ({ bytesDone, bytesTotal }) => verifying.update(bytesDone, bytesTotal),
      onSnapshot: ({ pagesRead, pagesTotal }) => {
        verifying.stop()
        copying.update(pagesRead, pagesTotal)
      },
    })
  } catch (error) {
    if (!(error instanceof RestoreError) || error.code !== 'NoReplica') throw error
    throw await noReplica(error, name, opened, signal)
  } finally {
    verifying.stop()
    copying.stop()
  }
  output.result({ name, path, ...done }, repairText(name, done))
  return done.after.latest.restorable ? ExitCode.ok : ExitCode.integrity
}

function repairText(name: string, { before, taken, after }: Repair): string {
  const { txid, restorable } = after.latest
  const written = taken.filter(({ skipped }) => !skipped)
  const outcome = restorable
    ? `the newest state, TXID ${txid}, can be restored`
    : `the newest state, TXID ${txid}, still cannot be restored`
  const lost = after.lost.length === 0 ? [] : [`  stays lost: ${spansText(after.lost)}`]
  if (written.length === 0) return [`${name}: nothing was written: ${outcome}`, ...lost].join('\n')
  return [
    `${name}: found`,
    ...(before.defects.length === 0 ? ['  no defect'] : defectLines(before)),
    ...written.map(snapshotLine),
    `${name}: ${outcome}`,
    ...lost,
  ].join('\n')
}

function snapshotLine({ txid, bytes }: TakenSnapshot): string {
  return `  stored: a snapshot of TXID ${txid}, ${formatBytes(bytes)}`
}
