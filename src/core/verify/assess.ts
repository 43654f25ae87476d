import { setImmediate as nextTurn } from 'node:timers/promises'
import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { lastTxid } from '../restore/reachable-states.ts'
import { cheapestSteps } from '../restore/restore-plan.ts'
import { misfits, wrongTimes } from './content-faults.ts'
import type { FileFacts } from './file-facts.ts'
import { type Fault, holes, overlaps } from './listing-faults.ts'
import { type Knowledge, restorableStates } from './restorable-states.ts'
import { StateSpans } from './state-spans.ts'
import type { Defect, StateSpan, VerifyDepth, VerifyReport } from './verify-report.ts'

export interface Evidence {
  readonly depth: VerifyDepth
  /** At least one; by level, then first TXID, then last TXID. */
  readonly files: readonly LtxFileInfo[]
  /** Of the files that were read and are good, by key. */
  readonly facts: ReadonlyMap<string, FileFacts>
  /** Objects that a restore cannot use. */
  readonly damage: readonly Fault[]
  /** A TXID that was in the store once. */
  readonly atLeast?: TXID | undefined
}

export type Assessment = Pick<
  VerifyReport,
  'verdict' | 'defects' | 'restorable' | 'lost' | 'latest' | 'goodUpTo' | 'orphans'
>

const NONE: ReadonlySet<string> = new Set()

/**
 * Works out what the evidence means: which states a restore still reaches, and what each defect
 * costs by itself. Reads nothing; the event loop gets its turn between two defects.
 */
export async function assess(evidence: Evidence): Promise<Assessment> {
  const { depth, files, facts, damage } = evidence
  const steps = cheapestSteps(files)
  const states = new Set(steps.map(({ file }) => file.maxTxid))
  const spans = new StateSpans(files, facts)
  const keptWith = (knowledge: Knowledge) => restorableStates(files, knowledge, steps)
  const lostFrom = (kept: ReadonlySet<TXID>): StateSpan[] =>
    spans.runs((txid) => states.has(txid) && !kept.has(txid))

  const last = lastTxid(files)
  const missing = holes(files, evidence.atLeast)
  const end = missing.find(({ code }) => code === 'EndMissing')?.to ?? last
  const defects: Defect[] = missing.map(({ code, message, from }) => {
    return { code, key: undefined, message, cost: [spans.between(from, end)] }
  })
  for (const fault of damage) {
    await nextTurn()
    const damaged = new Set([fault.key])
    defects.push({ ...fault, cost: lostFrom(keptWith({ facts, damaged, fitting: NONE })) })
  }
  for (const fault of misfits(steps, facts)) {
    await nextTurn()
    const fitting = new Set([fault.key])
    defects.push({ ...fault, cost: lostFrom(keptWith({ facts, damaged: NONE, fitting })) })
  }
  for (const fault of [...overlaps(files), ...wrongTimes(files, facts)]) {
    defects.push({ ...fault, cost: [] })
  }

  const damaged = new Set(damage.map(({ key }) => key))
  const kept = keptWith({ facts, damaged })
  const [hole] = missing
  const lost = lostFrom(kept)
  if (hole !== undefined) lost.push(spans.between(hole.from, end))
  const reach = hole?.from ?? last
  return {
    verdict: lost.length > 0 ? 'damaged' : defects.length > 0 ? 'degraded' : 'good',
    defects,
    restorable: spans.runs((txid) => kept.has(txid)),
    lost,
    latest: { txid: last, time: spans.timeOf(last), restorable: kept.has(last) },
    goodUpTo: depth === 'full' ? goodUpTo([...states], kept, spans) : undefined,
    orphans: spans.ends.filter((txid) => txid <= reach && !states.has(txid)).length,
  }
}

function goodUpTo(
  states: readonly TXID[],
  kept: ReadonlySet<TXID>,
  spans: StateSpans,
): VerifyReport['goodUpTo'] {
  const firstLost = states.findIndex((txid) => !kept.has(txid))
  const txid = states[(firstLost < 0 ? states.length : firstLost) - 1]
  return txid === undefined ? undefined : { txid, time: spans.timeOf(txid) }
}
