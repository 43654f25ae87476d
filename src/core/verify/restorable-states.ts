import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { MAX_AVOIDED } from '../restore/restore-attempts.ts'
import { type ChainStep, cheapestSteps } from '../restore/restore-plan.ts'
import { type FileFacts, misfit } from './file-facts.ts'

/** What is known about a replica's files beyond their names. */
export interface Knowledge {
  /**
   * By key. A file without facts is assumed to be complete if it starts at TXID 1, and to be
   * applicable after any other.
   */
  readonly facts: ReadonlyMap<string, FileFacts>
  /** Keys of objects that a restore cannot use. */
  readonly damaged: ReadonlySet<string>
  /** Keys of files that must be applicable after the file before them. Default: all. */
  readonly fitting?: ReadonlySet<string> | undefined
}

/**
 * The states that a restore reaches, by doing what a restore does: it takes the cheapest chain, reads
 * it from the newest file until one is complete, and goes around each damaged object that it meets,
 * a bounded number of times. So damage behind a complete file costs nothing after it.
 *
 * A lower bound: several files that only together have every page are not counted as complete.
 *
 * @param steps `cheapestSteps(files)`, if the caller already has it
 */
export function restorableStates(
  files: readonly LtxFileInfo[],
  knowledge: Knowledge,
  steps: readonly ChainStep[] = cheapestSteps(files),
): Set<TXID> {
  const restorable = new Set<TXID>()
  settle({ files, steps, wanted: undefined, avoided: 0 }, knowledge, restorable)
  return restorable
}

interface Attempt {
  readonly files: readonly LtxFileInfo[]
  readonly steps: readonly ChainStep[]
  /** The states that are still to be found; all by default. */
  readonly wanted: ReadonlySet<TXID> | undefined
  readonly avoided: number
}

/**
 * Records the states for which no further object must be avoided, and retries those that found a
 * damaged one.
 */
function settle(attempt: Attempt, knowledge: Knowledge, restorable: Set<TXID>): void {
  const { files, steps, wanted, avoided } = attempt
  const ends = new Map<ChainStep, End>()
  const met = new Map<LtxFileInfo, Set<TXID>>()
  for (const step of steps) {
    const end = endOf(step, ends, knowledge)
    ends.set(step, end)
    const { maxTxid } = step.file
    if (wanted?.has(maxTxid) === false) continue
    if (end === 'restored') restorable.add(maxTxid)
    else if (end !== 'refused') met.set(end, (met.get(end) ?? new Set()).add(maxTxid))
  }
  if (avoided === MAX_AVOIDED) return
  for (const [damaged, states] of met) {
    if (isOnlyHolder(damaged, files)) continue
    const others = files.filter((file) => file !== damaged)
    const again = { files: others, steps: cheapestSteps(others), wanted: states }
    settle({ ...again, avoided: avoided + 1 }, knowledge, restorable)
  }
}

/**
 * How reading a chain from its newest file ends: at a complete file, at a damaged one, or at one
 * that cannot be applied.
 */
type End = 'restored' | 'refused' | LtxFileInfo

function endOf(step: ChainStep, ends: ReadonlyMap<ChainStep, End>, knowledge: Knowledge): End {
  const { file, previous } = step
  if (knowledge.damaged.has(file.key)) return file
  const facts = knowledge.facts.get(file.key)
  if (facts?.complete ?? file.minTxid === 1n) return 'restored'
  if (previous === undefined) return 'refused'
  const before = knowledge.facts.get(previous.file.key)
  const counts = knowledge.fitting?.has(file.key) ?? true
  const fits = !counts || facts === undefined || before === undefined || !misfit(facts, before)
  return fits ? (ends.get(previous) as End) : 'refused'
}

/** No chain can avoid the only file that holds a TXID. */
function isOnlyHolder(file: LtxFileInfo, files: readonly LtxFileInfo[]): boolean {
  const { maxTxid } = file
  return !files.some(
    (other) => other !== file && other.minTxid <= maxTxid && other.maxTxid >= maxTxid,
  )
}
