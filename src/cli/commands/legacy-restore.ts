import { resolve } from 'node:path'
import { type RestoreTarget, renderTarget } from '../../core/restore/restore-target.ts'
import {
  gradeLegacy,
  gradeSentence,
  LegacyError,
  type LegacyPlan,
  type LegacyRestoreOptions,
  type LegacyRestoreResult,
  restoreLegacy,
} from '../../legacy/index.ts'
import type { CommandContext } from '../command-context.ts'
import { ExitCode } from '../output/exit-code.ts'
import { formatBytes } from '../output/format.ts'
import { createProgress } from '../output/progress.ts'
import type { FoundForeign } from './foreign-replicas.ts'

export interface LegacyRestoreFlags
  extends Pick<
    LegacyRestoreOptions,
    'force' | 'integrityCheck' | 'parallelism' | 'mode' | 'owner'
  > {
  readonly output: string
  readonly dryRun?: boolean | undefined
}

/**
 * Restores a replica of walsync 0.1 as `restore` does one of LTX files. The file is written whatever
 * the grade.
 *
 * @returns 0 for `complete` and for `--dry-run`, else 5
 * @throws LegacyError `UnreadableFormat` for every other format, and those of `restoreLegacy`
 */
export async function restoreForeign(
  context: CommandContext,
  found: FoundForeign,
  target: RestoreTarget,
  flags: LegacyRestoreFlags,
): Promise<number> {
  assertReadable(found)
  const { signal, terminal, output, logger } = context
  const { store } = found.opened
  const progress = createProgress('restore', terminal)
  const options = {
    ...flags,
    signal,
    onProgress: (done: { readonly bytesDone: number; readonly bytesTotal: number }): void =>
      progress.update(done.bytesDone, done.bytesTotal),
  }
  try {
    if (flags.dryRun === true) {
      const { plan } = await gradeLegacy(store, found.prefix, target, options)
      output.result(planJson(found, target, plan), planText(found, target, plan))
      return ExitCode.ok
    }
    const path = resolve(context.cwd, flags.output)
    const result = await restoreLegacy(store, found.prefix, target, path, options)
    const { plan } = result
    for (const { plan: rejected, error } of result.rejected) {
      logger.warn({ base: rejected.base?.key }, `not from the newest objects: ${error.message}`)
    }
    for (const warning of result.warnings) logger.warn(warning)
    if (plan.grade !== 'complete') {
      logger.warn({ grade: plan.grade }, `${found.name}: ${gradeSentence(plan.grade, plan.upTo)}`)
    }
    output.result(resultJson(found, path, result), resultText(found, path, result))
    return plan.grade === 'complete' ? ExitCode.ok : ExitCode.integrity
  } finally {
    progress.stop()
  }
}

/** @throws LegacyError `UnreadableFormat` */
export function assertReadable({ name, format, opened }: FoundForeign): void {
  if (format === 'walsync-0.1') return
  const { what, hint } = UNREADABLE[format]
  const message = `"${name}" in ${opened.store.description} is a replica of ${what}, which walsync does not read.`
  throw new LegacyError('UnreadableFormat', message, hint)
}

/** What a format is, and what reads it. */
export const UNREADABLE = {
  'litestream-0.3': {
    what: 'Litestream 0.3',
    hint: 'restore it with Litestream: a 0.3 version, or 0.5.7 and newer, which read it',
  },
  'walsync-0.3': {
    what: 'walsync 0.2 or 0.3 (or early walrust)',
    hint: 'restore it with the program that wrote it',
  },
} as const

function resultJson(
  found: FoundForeign,
  path: string,
  { plan, rejected, ...result }: LegacyRestoreResult,
): object {
  const others = rejected.map(({ plan: { base }, error }) => {
    return { base: base?.key ?? null, reason: error.message }
  })
  return { name: found.name, path, ...gradedJson(found, plan), ...result, rejected: others }
}

function planJson(found: FoundForeign, target: RestoreTarget, plan: LegacyPlan): object {
  return { name: found.name, target: renderTarget(target), ...gradedJson(found, plan) }
}

/** Keys are relative to the store's root. */
function gradedJson({ format, prefix }: FoundForeign, plan: LegacyPlan): object {
  const { base, segments, grade, upTo, reasons } = plan
  const full = (key: string): string => (prefix === '' ? key : `${prefix}/${key}`)
  return {
    format,
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
  found: FoundForeign,
  path: string,
  { plan, bytes, bytesRead, durationMs, integrityCheck }: LegacyRestoreResult,
): string {
  const checked =
    integrityCheck === 'none' ? 'not checked by SQLite' : `${integrityCheck} integrity check ok`
  return [
    `restored ${found.name} to ${path}, from ${origin(found)}`,
    ...gradeLines(plan),
    `  database: ${formatBytes(bytes)}, ${checked}`,
    `  from: ${sources(plan)}`,
    `  read: ${formatBytes(bytesRead)} in ${Math.round(durationMs)} ms`,
  ].join('\n')
}

function planText(found: FoundForeign, target: RestoreTarget, plan: LegacyPlan): string {
  const lines = plan.segments.map(({ key, size }) => `  ${key}  ${size} bytes`)
  const head = `Restore ${renderTarget(target)} from ${origin(found)}: ${sources(plan)}.`
  const base = plan.base === undefined ? [] : [`  ${plan.base.key}  ${plan.base.size} bytes`]
  return [head, ...gradeLines(plan), ...base, ...lines].join('\n')
}

function origin({ prefix, opened }: FoundForeign): string {
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
