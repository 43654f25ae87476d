import { gradeLegacy, gradeSentence, type LegacyReport } from '../../legacy/index.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { ExitCode } from '../output/exit-code.ts'
import { createProgress } from '../output/progress.ts'
import type { FoundForeign } from './foreign-replicas.ts'
import { assertReadable } from './legacy-restore.ts'

/** A replica of walsync 0.1, as `verify` has found it. */
export interface VerifiedLegacy {
  readonly name: string
  readonly legacy: LegacyReport
}

/**
 * Reads a replica of walsync 0.1 and grades its latest state.
 *
 * @param flags Of `verify` that only LTX files have an answer to; any that is given is refused.
 * @throws UsageError, LegacyError, StoreError
 */
export async function verifyForeign(
  context: CommandContext,
  found: FoundForeign,
  flags: Readonly<Record<'quick' | 'restore' | 'database', unknown>>,
): Promise<VerifiedLegacy> {
  assertReadable(found)
  const { name, opened, prefix } = found
  for (const [flag, value] of Object.entries(flags)) {
    if (value === undefined) continue
    throw new UsageError(
      `--${flag} has no meaning for "${name}", a replica of walsync 0.1: its log is always read, and no database is made.`,
      `leave --${flag} out; walsync restore makes the database and says the same of it`,
    )
  }
  const { signal, terminal } = context
  const progress = createProgress(`verify ${name}`, terminal)
  try {
    const legacy = await gradeLegacy(opened.store, prefix, undefined, {
      signal,
      onProgress: ({ bytesDone, bytesTotal }) => progress.update(bytesDone, bytesTotal),
    })
    return { name, legacy }
  } finally {
    progress.stop()
  }
}

/** As `verify --json` prints it; keys are relative to the database's folder. */
export function legacyEvent({ name, legacy }: VerifiedLegacy): object {
  const { plan, ...counts } = legacy
  const { grade, upTo, reasons, base, segments } = plan
  return {
    name,
    format: 'walsync-0.1',
    grade,
    upTo,
    statement: gradeSentence(grade, upTo),
    reasons,
    ...counts,
    snapshot: base?.key ?? null,
    segmentsUsed: segments.length,
  }
}

export function legacyVerdict({ name, legacy }: VerifiedLegacy): string {
  const { plan, snapshots, segments } = legacy
  return [
    `${name}: a replica of walsync 0.1, snapshots: ${snapshots}, WAL segments: ${segments}, of which a restore replays ${plan.segments.length}`,
    `  ${gradeSentence(plan.grade, plan.upTo)}`,
    ...plan.reasons.map(({ message }) => `  because: ${message}`),
  ].join('\n')
}

/** 0 for a replica whose latest state is complete, else 5. */
export function legacyExitCode({ legacy }: VerifiedLegacy): number {
  return legacy.plan.grade === 'complete' ? ExitCode.ok : ExitCode.integrity
}
