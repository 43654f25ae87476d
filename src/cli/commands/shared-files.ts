import { statSync } from 'node:fs'
import { UsageError } from '../args/usage-error.ts'
import { errorReport } from '../output/report-error.ts'
import type { DatabaseOutcome } from './restore-all-report.ts'

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
      'Delete that file, and restore each by its name to a file of its own.',
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
