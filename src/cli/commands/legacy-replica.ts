import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type RestoreTarget, renderTarget } from '../../core/restore/restore-target.ts'
import {
  gradeLegacy,
  gradeSentence,
  LegacyError,
  type LegacyPlan,
  type LegacyReadOptions,
  type LegacyReport,
  type LegacyRestoreOptions,
  type LegacyRestoreResult,
  listLegacy,
  restoreLegacy,
} from '../../legacy/index.ts'
import { flagOf } from '../args/setting-lookup.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { replicaStore } from '../composition/open-store.ts'
import { ExitCode } from '../output/exit-code.ts'
import { formatBytes } from '../output/format.ts'
import { createProgress } from '../output/progress.ts'
import type {
  LegacyRestoreFlags,
  LegacyVerifyFlags,
  ListedLegacy,
  Located,
  OtherDescription,
  OtherReplica,
  OtherVerdict,
} from './other-replica.ts'

/** A replica of walsync 0.1. */
export class LegacyReplica implements OtherReplica {
  readonly name: string
  readonly isReadable = true
  readonly #located: Located

  constructor(located: Located) {
    this.name = located.name
    this.#located = located
  }

  /** From names and sizes alone. */
  async describe(signal: AbortSignal): Promise<OtherDescription> {
    const { name } = this
    const { opened, prefix, isConcatenated } = this.#located
    const { snapshots, segments } = await listLegacy(replicaStore(opened, prefix), { signal })
    const times = [
      ...snapshots.map(({ takenAt }) => takenAt.getTime()),
      ...segments.map(({ uploadedAt }) => uploadedAt.getTime()),
    ]
    const from = new Date(times.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY))
    const to = new Date(times.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY))
    const database: ListedLegacy = {
      name,
      format: 'walsync-0.1',
      files: snapshots.length + segments.length,
      snapshots: snapshots.length,
      segments: segments.length,
      bytes: [...snapshots, ...segments].reduce((sum, { size }) => sum + size, 0),
      newestTxid: undefined,
      newestAt: to,
      stored: { from, to },
      folder: isConcatenated ? prefix : undefined,
      restorable: undefined,
      restorableTimes: undefined,
      gaps: [],
    }
    const place = isConcatenated ? `, in the folder ${prefix}/` : ''
    const count = segments.length === 1 ? '1 WAL segment' : `${segments.length} WAL segments`
    const note = `${name}: a replica of walsync 0.1${place}, ${count}; run walsync verify to grade what can be restored.`
    return { database, note }
  }

  /**
   * Restores to a file as `restore` does from LTX files. The file is written whatever the grade.
   *
   * @returns 0 for `complete` and for `--dry-run`, else 5
   * @throws LegacyError, RestoreError, StoreError of `restoreLegacy`
   */
  async restore(
    context: CommandContext,
    target: RestoreTarget,
    flags: LegacyRestoreFlags,
  ): Promise<number> {
    const { signal, terminal, output, logger } = context
    const located = this.#located
    const progress = createProgress('restore', terminal)
    const options = {
      ...flags,
      signal,
      onProgress: (done: { readonly bytesDone: number; readonly bytesTotal: number }): void =>
        progress.update(done.bytesDone, done.bytesTotal),
    }
    try {
      if (flags.dryRun === true) {
        const plan = await this.plan(target, options)
        output.result(planJson(located, target, plan), planText(located, target, plan))
        return ExitCode.ok
      }
      const path = resolve(context.cwd, flags.output)
      const result = await this.restoreTo(path, target, options)
      const { plan } = result
      for (const { plan: rejected, error } of result.rejected) {
        logger.warn({ base: rejected.base?.key }, `not from the newest objects: ${error.message}`)
      }
      for (const warning of result.warnings) logger.warn(warning)
      if (plan.grade !== 'complete') {
        logger.warn({ grade: plan.grade }, `${this.name}: ${gradeSentence(plan.grade, plan.upTo)}`)
      }
      output.result(resultJson(located, path, result), resultText(located, path, result))
      return plan.grade === 'complete' ? ExitCode.ok : ExitCode.integrity
    } finally {
      progress.stop()
    }
  }

  async plan(target: RestoreTarget, options: LegacyReadOptions): Promise<LegacyPlan> {
    const { opened, prefix } = this.#located
    return (await gradeLegacy(opened.store, prefix, target, options)).plan
  }

  async restoreTo(
    path: string,
    target: RestoreTarget,
    options: LegacyRestoreOptions,
  ): Promise<LegacyRestoreResult> {
    const { opened, prefix } = this.#located
    return await restoreLegacy(opened.store, prefix, target, path, options)
  }

  async restoreComplete(path: string, options: LegacyRestoreOptions): Promise<LegacyRestoreResult> {
    const target: RestoreTarget = { kind: 'latest' }
    this.#assertComplete(await this.plan(target, options))
    const result = await this.restoreTo(path, target, options)
    try {
      this.#assertComplete(result.plan)
    } catch (error) {
      await rm(path)
      throw error
    }
    return result
  }

  /** @throws LegacyError `NotComplete` */
  #assertComplete({ grade, upTo }: LegacyPlan): void {
    if (grade === 'complete') return
    const { name } = this
    const place = this.#located.opened.store.description
    throw new LegacyError(
      'NotComplete',
      `"${name}" in ${place} is a replica of walsync 0.1 that is not shown to be complete: ${gradeSentence(grade, upTo)}`,
      `Look at what walsync restore makes of it (walsync restore ${name} -b URL -o FILE), and put that file in place if it is good enough.`,
    )
  }

  /**
   * Reads the replica and grades its latest state: 0 for `complete`, else 5.
   *
   * @throws UsageError, LegacyError, StoreError
   */
  async verify(context: CommandContext, flags: LegacyVerifyFlags): Promise<OtherVerdict> {
    const { name } = this
    for (const [flag, value] of Object.entries(flags)) {
      if (value === undefined) continue
      throw new UsageError(
        `${flagOf(flag)} does not apply to "${name}", a replica of walsync 0.1: its log is always read, and no database is made.`,
        `Leave ${flagOf(flag)} out. walsync restore makes the database and grades it in the same way.`,
      )
    }
    const { signal, terminal } = context
    const { opened, prefix } = this.#located
    const progress = createProgress(`verify ${name}`, terminal)
    try {
      const report = await gradeLegacy(opened.store, prefix, undefined, {
        signal,
        onProgress: ({ bytesDone, bytesTotal }) => progress.update(bytesDone, bytesTotal),
      })
      const isComplete = report.plan.grade === 'complete'
      return {
        event: reportJson(name, report),
        text: reportText(name, report),
        exitCode: isComplete ? ExitCode.ok : ExitCode.integrity,
      }
    } finally {
      progress.stop()
    }
  }
}

/** Keys are relative to the database's folder. */
function reportJson(name: string, { plan, ...counts }: LegacyReport): object {
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

function reportText(name: string, { plan, snapshots, segments }: LegacyReport): string {
  return [
    `${name}: a replica of walsync 0.1, snapshots: ${snapshots}, WAL segments: ${segments}, of which a restore replays ${plan.segments.length}`,
    `  ${gradeSentence(plan.grade, plan.upTo)}`,
    ...plan.reasons.map(({ message }) => `  because: ${message}`),
  ].join('\n')
}

function resultJson(
  located: Located,
  path: string,
  { plan, rejected, ...result }: LegacyRestoreResult,
): object {
  const others = rejected.map(({ plan: { base }, error }) => {
    return { base: base?.key ?? null, reason: error.message }
  })
  return { name: located.name, path, ...gradedJson(located, plan), ...result, rejected: others }
}

function planJson(located: Located, target: RestoreTarget, plan: LegacyPlan): object {
  return { name: located.name, target: renderTarget(target), ...gradedJson(located, plan) }
}

/** Keys are relative to the store's root. */
function gradedJson({ prefix }: Located, plan: LegacyPlan): object {
  const { base, segments, grade, upTo, reasons } = plan
  const full = (key: string): string => (prefix === '' ? key : `${prefix}/${key}`)
  return {
    format: 'walsync-0.1',
    grade,
    upTo,
    statement: gradeSentence(grade, upTo),
    reasons: reasons.map(({ code, message, key }) => {
      return { code, message, key: key === undefined ? null : full(key) }
    }),
    snapshot: base === undefined ? null : full(base.key),
    segments: segments.map(({ key }) => full(key)),
  }
}

function resultText(
  located: Located,
  path: string,
  { plan, bytes, bytesRead, durationMs, integrityCheck }: LegacyRestoreResult,
): string {
  const checked =
    integrityCheck === 'none' ? 'not checked by SQLite' : `${integrityCheck} integrity check ok`
  return [
    `restored ${located.name} to ${path}, from ${origin(located)}`,
    ...gradeLines(plan),
    `  database: ${formatBytes(bytes)}, ${checked}`,
    `  from: ${sources(plan)}`,
    `  read: ${formatBytes(bytesRead)} in ${durationMs} ms`,
  ].join('\n')
}

function planText(located: Located, target: RestoreTarget, plan: LegacyPlan): string {
  const lines = plan.segments.map(({ key, size }) => `  ${key}  ${size} bytes`)
  const head = `Restore ${renderTarget(target)} from ${origin(located)}: ${sources(plan)}.`
  const base = plan.base === undefined ? [] : [`  ${plan.base.key}  ${plan.base.size} bytes`]
  return [head, ...gradeLines(plan), ...base, ...lines].join('\n')
}

function origin({ prefix, opened }: Located): string {
  const place = prefix === '' ? '' : `${prefix}/ in `
  return `a replica of walsync 0.1 (${place}${opened.store.description})`
}

function gradeLines({ grade, upTo, reasons }: LegacyPlan): string[] {
  const why = reasons.map(({ message }) => `  because: ${message}`)
  return [`  state: ${gradeSentence(grade, upTo)}`, ...why]
}

function sources({ base, segments }: LegacyPlan): string {
  const count = segments.length === 1 ? '1 segment' : `${segments.length} segments`
  if (base === undefined) return `${count} of the log, which have every page`
  return segments.length === 0
    ? `the snapshot ${base.key} alone`
    : `the snapshot ${base.key} and ${count} of the log`
}
