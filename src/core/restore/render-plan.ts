import { formatTxid } from '../ltx/index.ts'
import type { RestorePlan } from './restore-plan.ts'
import { renderTarget } from './restore-target.ts'

/** A plan as plain JSON: TXIDs in 16 hexadecimal digits, times in ISO 8601, sizes in bytes. */
export interface PlanJson {
  readonly target: string
  readonly txid: string
  readonly time: string | null
  readonly bytes: number
  readonly warnings: readonly string[]
  readonly files: readonly {
    readonly key: string
    readonly level: number
    readonly minTxid: string
    readonly maxTxid: string
    readonly size: number
    readonly createdAt: string | null
  }[]
}

export function planToJson(plan: RestorePlan): PlanJson {
  return {
    target: renderTarget(plan.target),
    txid: formatTxid(plan.txid),
    time: plan.time?.toISOString() ?? null,
    bytes: plan.bytes,
    warnings: plan.warnings,
    files: plan.files.map((file) => ({
      key: file.key,
      level: file.level,
      minTxid: formatTxid(file.minTxid),
      maxTxid: formatTxid(file.maxTxid),
      size: file.size,
      createdAt: file.createdAt?.toISOString() ?? null,
    })),
  }
}

/** A plan as text for a person: what will be restored, then one line a file, oldest first. */
export function renderPlan(plan: RestorePlan): string {
  const time = plan.time === undefined ? '' : ` of ${plan.time.toISOString()}`
  const count = plan.files.length === 1 ? '1 file' : `${plan.files.length} files`
  const width = Math.max(...plan.files.map((file) => String(file.size).length))
  const lines = plan.files.map(
    (file) =>
      `  level ${file.level}  ${formatTxid(file.minTxid)}-${formatTxid(file.maxTxid)}  ${String(file.size).padStart(width)} bytes  ${file.createdAt?.toISOString() ?? ''}`,
  )
  const head = `Restore ${renderTarget(plan.target)}: TXID ${formatTxid(plan.txid)}${time} from ${count}, ${plan.bytes} bytes at most.`
  return [head, ...lines.map((line) => line.trimEnd())].join('\n')
}
