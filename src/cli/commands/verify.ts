import { resolve } from 'node:path'
import { z } from 'zod'
import { drillFailures } from '../../core/drill/index.ts'
import { trialRestore } from '../../core/repair/index.ts'
import { verifyReplica } from '../../core/verify/index.ts'
import { flag, parseFlags, required } from '../args/flags.ts'
import { longDuration, reportFile, text } from '../args/kinds.ts'
import { type NamedReplica, selectReplicas } from '../args/select-replicas.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { type OpenedStore, replicaClient } from '../composition/open-store.ts'
import { drillReport } from '../drill/drill-report.ts'
import { assertReportFiles, writeReports } from '../drill/write-reports.ts'
import { ExitCode } from '../output/exit-code.ts'
import { createProgress } from '../output/progress.ts'
import { OtherFormats } from './other-formats.ts'
import type { OtherVerdict } from './other-replica.ts'
import { type VerifiedReplica, verifyText } from './verify-text.ts'

const verifyFlags = z.object({
  bucket: required('bucket'),
  all: z.boolean().optional(),
  quick: z.boolean().optional(),
  restore: z.boolean().optional(),
  database: flag(text('a file', 'file')).optional(),
  assert: z.array(flag(text('an SQL statement', 'sql'))).optional(),
  maxAge: flag(longDuration()).optional(),
  report: z.array(flag(reportFile())).optional(),
})
type VerifyFlags = z.output<typeof verifyFlags>

/**
 * `walsync verify`: is each replica good, and what cannot be restored from it? With what is asked of
 * a restored copy, a restore drill; its report is written whatever comes of it.
 *
 * @returns 0 if all is good; 5 for any defect, and for a failed drill; 1 if only a comparison asked
 *   for was not possible
 * @throws UsageError for a report that could not be written, before anything is verified
 * @throws DurableWriteError if all is good, but a report could not be written: damage must not hide behind that
 */
export async function verify(
  context: CommandContext,
  names: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const flags = parseFlags(verifyFlags, rawFlags)
  const verified: VerifiedReplica[] = []
  const { report } = flags
  if (report === undefined) return await verifyAll(context, names, flags, verified)
  const { version: walsync, cwd, logger } = context
  assertReportFiles(report, cwd)
  const startedAt = new Date()
  const write = async (error?: unknown): Promise<void> => {
    const run = { walsync, store: flags.bucket, startedAt, verified, error }
    await writeReports(drillReport(run), report, cwd)
  }
  let exitCode: number
  try {
    exitCode = await verifyAll(context, names, flags, verified)
  } catch (error) {
    await write(error).catch((failed: Error) => logger.error(failed.message))
    throw error
  }
  if (exitCode === ExitCode.ok) await write()
  else await write().catch((failed: Error) => logger.error(failed.message))
  return exitCode
}

/** @param verified where each replica is added as soon as it has been looked at */
async function verifyAll(
  context: CommandContext,
  names: readonly string[],
  flags: VerifyFlags,
  verified: VerifiedReplica[],
): Promise<number> {
  const { output, signal } = context
  const { quick, restore, database, assert, maxAge, report } = flags
  if (flags.database !== undefined && (flags.all === true || names.length > 1)) {
    throw new UsageError(
      '--database is the database of one replica, and more than one is verified.',
      'Verify that replica alone.',
    )
  }
  const opened = await context.openStore(flags.bucket, { signal, create: false })
  const replicas = await selectReplicas(names, flags.all === true, opened, signal)
  const otherFormats = new OtherFormats(context, flags.bucket, opened)
  const others: OtherVerdict[] = []
  try {
    for (const replica of replicas) {
      await otherFormats.orOther(
        replica.name,
        async () => {
          const each = await verifyOne(context, opened, replica, flags)
          output.event({ name: each.name, ...each.report, restore: each.trial })
          verified.push(each)
        },
        async (other) => {
          const verdict = await other.verify(context, {
            quick,
            restore,
            database,
            assert,
            maxAge,
            report,
          })
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
    if (!asksToRestore(flags)) return { name, report, trial: undefined }
    const database = flags.database && resolve(context.cwd, flags.database)
    const { assert: assertions, maxAge: maxAgeMs } = flags
    const asked = { database, assertions, maxAgeMs }
    return { name, report, trial: await trialRestore(client, { ...asked, signal, onProgress }) }
  } finally {
    progress.stop()
  }
}

/** Each flag that says something about a restored copy asks for one. */
function asksToRestore({ restore, database, assert, maxAge, report }: VerifyFlags): boolean {
  return restore === true || [database, assert, maxAge, report].some((flag) => flag !== undefined)
}

/** Every defect counts, even one that costs no state yet: it removes a way to restore. */
export function verifyExitCode({ report, trial }: VerifiedReplica): number {
  if (report.verdict !== 'good') return ExitCode.integrity
  if (trial !== undefined && drillFailures(trial).length > 0) return ExitCode.integrity
  const outcome = trial?.restored === true ? trial.comparison?.outcome : undefined
  if (outcome === 'different') return ExitCode.integrity
  return outcome === 'not-compared' ? ExitCode.other : ExitCode.ok
}
