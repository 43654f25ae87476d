import { formatTxid, type TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { byEnd, lastTxid, reachableTxids, restorableTo, timeOf } from './reachable-states.ts'
import { RestoreError, restorableSentence } from './restore-error.ts'
import { type RestoreTarget, renderTarget } from './restore-target.ts'

/**
 * LTX files that together make up one state of the database. A plain value: planning reads no
 * object.
 */
export interface RestorePlan {
  readonly target: RestoreTarget
  /**
   * Oldest first. The first starts at TXID 1, each further one at most one TXID after its
   * predecessor's end.
   */
  readonly files: readonly LtxFileInfo[]
  /** TXID of the resulting state. */
  readonly txid: TXID
  /** Time of that state; `undefined` if the store does not list times and no header was read. */
  readonly time: Date | undefined
  /** Sum of the files' sizes, the most that a restore reads. */
  readonly bytes: number
  /**
   * Reasons why the state may not be the intended one: times that disagree with the order of
   * states.
   */
  readonly warnings: readonly string[]
}

/**
 * Cost of one more object, as the number of bytes that could be read in the time of its request.
 */
const REQUEST_BYTES = 64 * 1024

/**
 * Chooses the files that reach exactly the target with the fewest bytes and objects. All files of
 * all levels are considered; files may overlap. A listing does not show which file is a base that
 * was taken after TXID 1, so the chain always starts at TXID 1, and the restore stops reading at
 * the base.
 *
 * A target time means the newest TXID whose file's `createdAt` is not later.
 *
 * @throws RestoreError `NoReplica`, `Gap`, `TargetNotReachable`
 * @throws TypeError for a target time if a `createdAt` is missing: call `resolveTime` first
 */
export function planRestore(files: readonly LtxFileInfo[], target: RestoreTarget): RestorePlan {
  if (files.length === 0) {
    throw new RestoreError('NoReplica', 'This replica has no LTX files.', {
      hint: 'Check the name and the store URL. `walsync list` shows the replicas of a store.',
    })
  }
  const wanted = targetTxid(files, target)
  const chain = cheapestChain(files, wanted)
  if (chain === undefined) throw unreachable(files, target, wanted)
  return {
    target,
    files: chain,
    txid: wanted,
    time: timeOf(files, wanted),
    bytes: chain.reduce((sum, file) => sum + file.size, 0),
    warnings: [],
  }
}

function targetTxid(files: readonly LtxFileInfo[], target: RestoreTarget): TXID {
  if (target.kind === 'txid') return target.txid
  if (target.kind === 'latest') return lastTxid(files)
  if (files.some((file) => file.createdAt === undefined)) {
    throw new TypeError('Expected files with `createdAt` for a target time.')
  }
  const before = files.filter((file) => (file.createdAt as Date) <= target.time)
  if (before.length > 0) return lastTxid(before)
  throw tooEarly(files, target)
}

/** The last file of a chain, with the cheapest chain before it. */
export interface ChainStep {
  readonly file: LtxFileInfo
  readonly cost: number
  readonly previous: ChainStep | undefined
}

/**
 * For each TXID that a chain from TXID 1 ends with, the last step of the cheapest one, by ascending
 * TXID. A file leads from any TXID in [minTxid - 1, maxTxid) to maxTxid. Files are processed by
 * ascending end. `useful` keeps the steps that no step with a later end undercuts: both TXIDs and
 * costs ascend in it, so a binary search finds the cheapest predecessor.
 */
export function cheapestSteps(files: readonly LtxFileInfo[]): ChainStep[] {
  const steps: ChainStep[] = []
  const useful: ChainStep[] = []
  for (const group of byEnd(files)) {
    let best: ChainStep | undefined
    for (const file of group) {
      const first = file.minTxid === 1n
      const previous = first ? undefined : firstReaching(useful, file.minTxid - 1n)
      if (!first && previous === undefined) continue
      const cost = (previous?.cost ?? 0) + file.size + REQUEST_BYTES
      if (best === undefined || cost < best.cost) best = { file, cost, previous }
    }
    if (best === undefined) continue
    while (useful.length > 0 && (useful.at(-1) as ChainStep).cost >= best.cost) useful.pop()
    useful.push(best)
    steps.push(best)
  }
  return steps
}

function cheapestChain(files: readonly LtxFileInfo[], wanted: TXID): LtxFileInfo[] | undefined {
  const last = cheapestSteps(files.filter((file) => file.maxTxid <= wanted)).at(-1)
  if (last?.file.maxTxid !== wanted) return undefined
  const chain: LtxFileInfo[] = []
  for (let step: ChainStep | undefined = last; step !== undefined; step = step.previous)
    chain.push(step.file)
  return chain.reverse()
}

/**
 * Costs rise with the TXIDs of the steps, so the first step that reaches far enough is the
 * cheapest.
 */
function firstReaching(steps: readonly ChainStep[], txid: bigint): ChainStep | undefined {
  let low = 0
  let high = steps.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((steps[middle] as ChainStep).file.maxTxid >= txid) high = middle
    else low = middle + 1
  }
  return steps[low]
}

/** The error that explains why no chain of files ends with `wanted`, and how far one gets. */
export function unreachable(
  files: readonly LtxFileInfo[],
  target: RestoreTarget,
  wanted: TXID,
): RestoreError {
  const point = restorableTo(files, wanted)
  const gap = gapBefore(files, wanted, point?.txid ?? 0n)
  if (gap !== undefined) {
    const missing = `${formatTxid(gap.from)} to ${formatTxid(gap.to)}`
    const message = `No file holds the TXIDs ${missing}, so ${renderTarget(target)} cannot be restored. ${restorableSentence(point)}`
    const hint =
      point === undefined
        ? 'Restore from another copy of the replica.'
        : `Restore with --txid ${formatTxid(point.txid)}, or copy the missing files from another copy of the replica.`
    return new RestoreError('Gap', message, { hint, restorableTo: point })
  }
  const last = lastTxid(files)
  if (wanted > last) {
    const message = `The replica ends at TXID ${formatTxid(last)}, before ${renderTarget(target)}. ${restorableSentence(point)}`
    const hint = 'Omit the target to restore the latest state.'
    return new RestoreError('TargetNotReachable', message, { hint, restorableTo: point })
  }
  if (point === undefined) return tooEarly(files, target)
  const after = reachableTxids(files).find((state) => state > wanted)
  const next = after === undefined ? '' : ` The next state is TXID ${formatTxid(after)}.`
  const message = `No file ends with TXID ${formatTxid(wanted)}: its neighbours were merged. ${restorableSentence(point)}${next}`
  const hint = 'Choose one of the states on either side.'
  return new RestoreError('TargetNotReachable', message, { hint, restorableTo: point })
}

/** TXIDs after `reached`, up to `wanted`, that no file holds, if that is what breaks the chain. */
function gapBefore(
  files: readonly LtxFileInfo[],
  wanted: TXID,
  reached: bigint,
): { readonly from: TXID; readonly to: TXID } | undefined {
  let covered = reached
  let next: TXID | undefined
  for (const { minTxid, maxTxid } of files.toSorted((a, b) => (a.minTxid < b.minTxid ? -1 : 1))) {
    if (minTxid <= covered + 1n) {
      if (maxTxid > covered) covered = maxTxid
    } else {
      next = minTxid
      break
    }
  }
  if (next === undefined || covered >= wanted) return undefined
  return { from: (covered + 1n) as TXID, to: (next - 1n) as TXID }
}

/** The error for a target before the first state. */
export function tooEarly(files: readonly LtxFileInfo[], target: RestoreTarget): RestoreError {
  const first = reachableTxids(files)[0]
  const time = first === undefined ? undefined : timeOf(files, first)
  const earliest =
    first === undefined
      ? 'no state can be restored'
      : `the earliest is TXID ${formatTxid(first)}${time === undefined ? '' : ` of ${time.toISOString()}`}`
  const message = `The replica does not go back to ${renderTarget(target)}: ${earliest}.`
  return new RestoreError('TargetNotReachable', message, {
    hint: 'Choose a later state, or one from an older copy of the replica.',
  })
}

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

/** A plan as readable text: what will be restored, then one line per file, oldest first. */
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
