import { statSync } from 'node:fs'
import { relative } from 'node:path'
import type { PlanJson } from '../../core/restore/restore-plan.ts'
import { UsageError } from '../args/usage-error.ts'
import { ExitCode } from '../output/exit-code.ts'
import { formatBytes, formatTable, plural } from '../output/format.ts'
import type { ErrorReport } from '../output/report-error.ts'
import { errorReport } from '../output/report-error.ts'

/**
 * What became of one database. `present`: its file was there and stays. `planned`: nothing was
 * written, because of `--dry-run`. `interrupted`: not restored, because of a signal.
 */
export interface DatabaseOutcome {
  readonly name: string
  /** `undefined` if its name gives no file in the folder. */
  readonly path?: string | undefined
  readonly outcome: 'restored' | 'present' | 'planned' | 'failed' | 'interrupted'
  /** Given for a replica of walsync 0.1, which has no TXIDs. */
  readonly format?: 'walsync-0.1' | undefined
  readonly grade?: string | undefined
  readonly txid?: bigint | undefined
  /** Of the restored state, where it is known. */
  readonly time?: Date | undefined
  /** Size of the database. */
  readonly bytes?: number | undefined
  /** Bytes read from the store, or with `--dry-run` those to read. */
  readonly bytesRead?: number | undefined
  readonly durationMs?: number | undefined
  readonly integrityCheck?: string | undefined
  /** Objects that would be read. */
  readonly files?: PlanJson['files'] | undefined
  readonly warnings?: readonly string[] | undefined
  readonly error?: ErrorReport | undefined
  /** Default 0. */
  readonly exitCode?: number | undefined
}

/** What `restore --all` did, as `--json` prints it. */
export interface RestoreAllReport {
  readonly store: string
  readonly folder: string
  readonly databases: readonly DatabaseOutcome[]
}

/** The worst first: damage must not hide behind a state that does not exist. */
const WORST_FIRST: readonly number[] = [
  ExitCode.integrity,
  ExitCode.store,
  ExitCode.other,
  ExitCode.usage,
  ExitCode.unreachable,
]

/** The exit code of the worst outcome; 0 if all is well. */
export function exitCodeOfAll(outcomes: readonly DatabaseOutcome[]): number {
  const codes = outcomes.flatMap(({ exitCode = ExitCode.ok }) => exitCode || [])
  return WORST_FIRST.find((code) => codes.includes(code)) ?? codes[0] ?? ExitCode.ok
}

/** One line for each database, then what is to be said about some of them, then the sum. */
export function restoreAllText({ store, folder, databases }: RestoreAllReport): string {
  const rows = databases.map(({ name, path, outcome, txid, time, bytes, bytesRead, format }) => [
    name,
    outcome,
    format === undefined ? (txid?.toString() ?? '') : 'walsync 0.1',
    time?.toISOString() ?? '',
    sizeText(bytes ?? bytesRead),
    path === undefined ? '' : relative(folder, path),
  ])
  const isPlan = databases.some(({ outcome }) => outcome === 'planned')
  const heading = ['DATABASE', 'RESULT', 'TXID', 'TIME', isPlan ? 'TO READ' : 'SIZE', 'FILE']
  return [
    formatTable([heading, ...rows]),
    ...databases.flatMap(remarks),
    summary(databases, store, folder),
  ].join('\n')
}

function sizeText(bytes: number | undefined): string {
  return bytes === undefined ? '' : formatBytes(bytes)
}

function remarks({ name, warnings = [], error }: DatabaseOutcome): string[] {
  const lines = warnings.map((warning) => `${name}: warning: ${warning}`)
  if (error === undefined) return lines
  return [...lines, `${name}: ${error.message}`, `  try: ${error.hint}`]
}

function summary(databases: readonly DatabaseOutcome[], store: string, folder: string): string {
  const groups = Map.groupBy(databases, ({ outcome }) => outcome)
  const count = (outcome: DatabaseOutcome['outcome']): number => groups.get(outcome)?.length ?? 0
  const others = [
    [count('present'), 'already there'],
    [count('failed'), 'failed'],
    [count('interrupted'), 'not restored because of the interruption'],
  ] as const
  const rest = others.flatMap(([number, what]) => (number === 0 ? [] : [`${number} ${what}`]))
  const planned = count('planned')
  const done =
    planned > 0
      ? `would restore ${planned} of ${plural(databases.length, 'database')}`
      : `restored ${count('restored')} of ${plural(databases.length, 'database')}`
  const line = [`${done} from ${store} to ${folder}`, ...rest].join(', ')
  return count('interrupted') === 0
    ? line
    : `${line}\nRun the command again with --if-missing to restore the others.`
}

/**
 * Makes failures of databases that were restored to one file: names that differ mean the same one
 * where the file system ignores case or forms of letters, and only the last one is in it.
 */
export function refuseSharedFiles(outcomes: readonly DatabaseOutcome[]): DatabaseOutcome[] {
  const users = Map.groupBy(outcomes, fileOf)
  return outcomes.map((outcome) => {
    const file = fileOf(outcome)
    const same = file === undefined ? [] : (users.get(file) ?? [])
    if (same.length < 2 || same.every((one) => one.outcome === 'present')) return outcome
    const { name, path } = outcome
    const error = new UsageError(
      `${path} is the same file as that of ${same.flatMap((one) => (one === outcome ? [] : one.name)).join(', ')}, and holds one of them.`,
      'Delete that file, then restore each of them by name to a separate file.',
    )
    return { name, path, outcome: 'failed', exitCode: error.exitCode, error: errorReport(error) }
  })
}

/** What the file system knows the file as; `undefined` if it cannot be asked: the report must not fail for it. */
function fileOf({ path, outcome }: DatabaseOutcome): string | undefined {
  if (path === undefined || (outcome !== 'restored' && outcome !== 'present')) return undefined
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}
