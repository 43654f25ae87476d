import { resolve } from 'node:path'
import { z } from 'zod'
import { trialRestore } from '../../core/repair/index.ts'
import { verifyReplica } from '../../core/verify/index.ts'
import { flag, parseFlags, required } from '../args/flags.ts'
import { text } from '../args/kinds.ts'
import { type NamedReplica, selectReplicas } from '../args/select-replicas.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { type OpenedStore, replicaClient } from '../composition/open-store.ts'
import { ExitCode } from '../output/exit-code.ts'
import { createProgress } from '../output/progress.ts'
import { OtherFormats, type OtherVerdict } from './other-formats.ts'
import { type VerifiedReplica, verifyText } from './verify-text.ts'

const verifyFlags = z.object({
  bucket: required('bucket'),
  all: z.boolean().optional(),
  quick: z.boolean().optional(),
  restore: z.boolean().optional(),
  database: flag(text('a file', 'file')).optional(),
})
type VerifyFlags = z.output<typeof verifyFlags>

/**
 * `walsync verify`: is each replica good, and what cannot be restored from it?
 *
 * @returns 0 if all is good; 5 for any defect; 1 if only a comparison asked for was not possible
 */
export async function verify(
  context: CommandContext,
  names: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const flags = parseFlags(verifyFlags, rawFlags)
  const { output, signal } = context
  const { quick, restore, database } = flags
  if (flags.database !== undefined && (flags.all === true || names.length > 1)) {
    throw new UsageError(
      '--database is the database of one replica, and more than one is verified.',
      'Verify that replica alone.',
    )
  }
  const opened = await context.openStore(flags.bucket, { signal, create: false })
  const replicas = await selectReplicas(names, flags.all === true, opened, signal)
  const otherFormats = new OtherFormats(context, flags.bucket, opened)
  const verified: VerifiedReplica[] = []
  const others: OtherVerdict[] = []
  try {
    for (const replica of replicas) {
      await otherFormats.orOther(
        replica.name,
        async () => {
          const each = await verifyOne(context, opened, replica, flags)
          const { name, report, trial } = each
          output.event({ name, ...report, restore: trial })
          verified.push(each)
        },
        async (other) => {
          const verdict = await other.verify(context, { quick, restore, database })
          output.event(verdict.event)
          others.push(verdict)
        },
      )
    }
  } finally {
    // Also when a later replica fails: what was found so far is still printed.
    if (!output.json && verified.length > 0)
      output.result({}, verifyText(verified, { bucket: flags.bucket, database: flags.database }))
    if (!output.json && others.length > 0) {
      output.result({}, others.map(({ text }) => text).join('\n'))
    }
  }
  return Math.max(...verified.map(verifyExitCode), ...others.map(({ exitCode }) => exitCode))
}

async function verifyOne(
  context: CommandContext,
  opened: OpenedStore,
  { name, prefix }: NamedReplica,
  flags: VerifyFlags,
): Promise<VerifiedReplica> {
  const { signal } = context
  const client = replicaClient(opened, prefix)
  const progress = createProgress(`verify ${name}`, context.terminal)
  const onProgress = ({ bytesDone, bytesTotal }: { bytesDone: number; bytesTotal: number }): void =>
    progress.update(bytesDone, bytesTotal)
  try {
    const depth = flags.quick === true ? 'quick' : 'full'
    const report = await verifyReplica(client, { depth, signal, onProgress })
    if (flags.restore !== true && flags.database === undefined) {
      return { name, report, trial: undefined }
    }
    const database = flags.database && resolve(context.cwd, flags.database)
    return { name, report, trial: await trialRestore(client, { database, signal, onProgress }) }
  } finally {
    progress.stop()
  }
}

/** Every defect counts, even one that costs no state yet: it removes a way to restore. */
export function verifyExitCode({ report, trial }: VerifiedReplica): number {
  if (report.verdict !== 'good' || trial?.restored === false) return ExitCode.integrity
  const outcome = trial?.comparison?.outcome
  if (outcome === 'different') return ExitCode.integrity
  return outcome === 'not-compared' ? ExitCode.other : ExitCode.ok
}
