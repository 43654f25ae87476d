import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { byEnd, lastTxid, timeOf } from './reachable.ts'
import { RestoreError } from './restore-error.ts'
import type { RestoreTarget } from './restore-target.ts'
import { tooEarly, unreachable } from './unreachable.ts'

/** LTX files that together make one state of the database. A value: planning reads no object. */
export interface RestorePlan {
  readonly target: RestoreTarget
  /** Oldest first. The first starts at TXID 1, each next one at most one TXID behind its predecessor's end. */
  readonly files: readonly LtxFileInfo[]
  /** TXID of the state that the files make. */
  readonly txid: TXID
  /** Time of that state; `undefined` where neither the store lists times nor a header was read. */
  readonly time: Date | undefined
  /** Sum of the files' sizes: what a restore reads at most. */
  readonly bytes: number
  /** Why the state may not be the one that was meant: times that disagree with the order of states. */
  readonly warnings: readonly string[]
}

/** What one more object costs, in bytes that could be read in the time of its request. */
const REQUEST_BYTES = 64 * 1024

/**
 * Chooses the files that reach the target exactly with the fewest bytes and objects. Every file of
 * every level takes part; files may overlap. A base that was taken later than TXID 1 cannot be
 * told from a listing, so the chain always starts at TXID 1: the restore stops reading at the base.
 *
 * A target time means the newest TXID whose file's `createdAt` is not later than it.
 *
 * @throws RestoreError `NoReplica`, `Gap`, `TargetNotReachable`
 * @throws TypeError for a target time if a `createdAt` is missing: `resolveTime` comes first then
 */
export function planRestore(files: readonly LtxFileInfo[], target: RestoreTarget): RestorePlan {
  if (files.length === 0) {
    throw new RestoreError('NoReplica', 'There is no LTX file under this replica.', {
      hint: 'Check the name and the store URL: `walsync list` shows what is there.',
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
 * TXID. A file leads from any TXID in [minTxid - 1, maxTxid) to maxTxid. Files are taken by
 * ascending end. `useful` keeps the steps that no later end undercuts: TXIDs and costs both ascend
 * along it, so a binary search finds the cheapest predecessor.
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

/** Costs rise with the TXIDs along the steps, so the first one that is far enough is the cheapest. */
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
