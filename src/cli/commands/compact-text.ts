import { formatBytes, formatTable } from '../output/format.ts'
import { errorReport } from '../output/report-error.ts'

/** What was merged into one level, or would be. */
export interface MergedLevel {
  readonly level: number
  readonly files: number
  /** Files made of them. */
  readonly merged: number
  readonly bytesBefore: number
  /** `undefined` in a dry run: nobody knows before the merge. */
  readonly bytesAfter: number | undefined
}

/** What became of one replica, or would. */
export interface CompactedReplica {
  readonly dryRun: boolean
  readonly levels: readonly MergedLevel[]
  /** Files whose interval is not over. */
  readonly waiting: number
  /** When the first of these intervals is. */
  readonly dueAt: Date | undefined
  /** Errors of the objects that could not be merged. */
  readonly avoided: readonly unknown[]
}

/** What `walsync compact` tells people about one replica. */
export function compactText(name: string, result: CompactedReplica): string {
  const { dryRun, levels, waiting, dueAt, avoided } = result
  const done = levels.filter(({ files }) => files > 0)
  const lines: string[] = []
  if (done.length === 0) lines.push(`${name}: nothing to merge.`)
  else lines.push(`${name}: ${dryRun ? 'would be merged' : 'merged'}`, levelTable(done, dryRun))
  if (dueAt !== undefined) {
    const files = waiting === 1 ? '1 file waits' : `${waiting} files wait`
    lines.push(`${files} for the end of an interval, at ${dueAt.toISOString()} or later.`)
  }
  for (const error of avoided) {
    const { message, hint } = errorReport(error)
    lines.push(`Not merged: ${message}`, `  try: ${hint}`)
  }
  return lines.join('\n')
}

function levelTable(levels: readonly MergedLevel[], dryRun: boolean): string {
  const heading = ['LEVEL', 'FILES', 'BECOME', 'BEFORE', 'AFTER']
  const rows = levels.map(({ level, files, merged, bytesBefore, bytesAfter }) => [
    String(level),
    String(files),
    String(merged),
    formatBytes(bytesBefore),
    formatBytes(bytesAfter ?? 0),
  ])
  const columns = dryRun ? 4 : 5
  return formatTable([heading, ...rows].map((row) => row.slice(0, columns)))
}
