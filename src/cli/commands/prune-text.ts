import type { LtxFileInfo } from '../../core/replica/replica-client.ts'
import type { KeptPoint } from '../../core/retention/plan-retention.ts'
import { limitsAge, type RetentionPolicy } from '../../core/retention/retention-policy.ts'
import { formatBytes, formatTable } from '../output/format.ts'
import type { PrunedReplica } from './prune.ts'

/** Failures shown one by one. */
const MAX_FAILURES = 5

/** What `walsync prune` tells people about one replica. */
export function pruneText(pruned: PrunedReplica, policy: RetentionPolicy): string {
  const { name, dryRun, plan, deleted, failures } = pruned
  if (plan.blocked !== undefined)
    return `${name}: nothing is deleted, because ${BLOCKED[plan.blocked]}`
  const gone = dryRun ? plan.remove : deleted
  const lines = [`${name}: ${headline(gone, dryRun)}`]
  if (gone.length > 0) lines.push(levelTable(gone, plan.keep))
  lines.push(stays(plan.restorePoints))
  if (!limitsAge(policy)) {
    lines.push(
      'No --keep-for, --keep-last, --keep-hourly … was given: history is thinned out, and its beginning stays.',
    )
  }
  for (const { key, error } of failures.slice(0, MAX_FAILURES)) {
    lines.push(`Not deleted: ${key}: ${error.message}`)
  }
  const more = failures.length - MAX_FAILURES
  if (more > 0) lines.push(`And ${more} more could not be deleted; prune again.`)
  return lines.join('\n')
}

const BLOCKED = {
  gap: 'transactions are missing before its newest state. walsync verify says which, walsync repair gives it a new base.',
  damaged:
    'its newest state takes damaged objects. walsync verify says which, walsync repair gives it a new base.',
} as const

function headline(gone: readonly LtxFileInfo[], dryRun: boolean): string {
  if (gone.length === 0) return dryRun ? 'nothing would be deleted.' : 'nothing to delete.'
  const what = `${gone.length} ${gone.length === 1 ? 'file' : 'files'}, ${formatBytes(sizeOf(gone))}`
  return dryRun ? `${what} would be deleted.` : `${what} deleted.`
}

function levelTable(gone: readonly LtxFileInfo[], keep: readonly LtxFileInfo[]): string {
  const levels = [...new Set([...gone, ...keep].map(({ level }) => level))].sort((a, b) => a - b)
  const rows = levels.map((level) => {
    const [going, staying] = [gone, keep].map((files) => files.filter((f) => f.level === level))
    return [
      level === 9 ? '9 (snapshots)' : String(level),
      String(going?.length),
      formatBytes(sizeOf(going ?? [])),
      String(staying?.length),
      formatBytes(sizeOf(staying ?? [])),
    ]
  })
  return formatTable([['LEVEL', 'GO', 'SIZE', 'STAY', 'SIZE'], ...rows])
}

function stays(points: readonly KeptPoint[]): string {
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined) return 'No state can be restored.'
  if (points.length === 1) return `One state stays restorable, of ${at(last)}.`
  const rules = new Map<string, number>()
  for (const { why } of points) {
    for (const rule of why) rules.set(rule, (rules.get(rule) ?? 0) + 1)
  }
  const byRule = [...rules].map(([rule, count]) => `${rule} ${count}`).join(', ')
  return `${points.length} states stay restorable, from ${at(first)} to ${at(last)} (${byRule}).`
}

function at({ time, txid }: KeptPoint): string {
  return `${new Date(time).toISOString()} (TXID ${txid})`
}

function sizeOf(files: readonly LtxFileInfo[]): number {
  return files.reduce((sum, { size }) => sum + size, 0)
}
