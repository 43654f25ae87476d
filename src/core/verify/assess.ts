import { setImmediate as nextTurn } from 'node:timers/promises'
import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { lastTxid } from '../restore/reachable-states.ts'
import { cheapestSteps } from '../restore/restore-plan.ts'
import { type Fault, holes, misfits, overlaps, wrongTimes } from './faults.ts'
import type { FileFacts } from './file-facts.ts'
import { type Knowledge, restorableStates } from './restorable-states.ts'
import type { Defect, StateSpan, VerifyDepth, VerifyReport } from './verify-report.ts'

export interface Evidence {
  readonly depth: VerifyDepth
  /** At least one; by level, then first TXID, then last TXID. */
  readonly files: readonly LtxFileInfo[]
  /** Of the files that were read and are intact, by key. */
  readonly facts: ReadonlyMap<string, FileFacts>
  /** Objects that a restore cannot use. */
  readonly damage: readonly Fault[]
  /** A TXID that is known to have been stored. */
  readonly atLeast?: TXID | undefined
  /** Times of states that neither the listing nor `facts` has. */
  readonly times?: ReadonlyMap<TXID, Date> | undefined
}

export type Assessment = Pick<
  VerifyReport,
  'verdict' | 'defects' | 'restorable' | 'lost' | 'latest' | 'goodUpTo' | 'orphans' | 'redundant'
>

const NONE: ReadonlySet<string> = new Set()

/**
 * Determines which states can still be restored, and what each defect costs by itself. Reads
 * nothing; yields to the event loop between two defects.
 */
export async function assess(evidence: Evidence): Promise<Assessment> {
  const { depth, files, facts, damage } = evidence
  const steps = cheapestSteps(files)
  const states = new Set(steps.map(({ file }) => file.maxTxid))
  const spans = new StateSpans(files, facts, evidence.times)
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
  const contained = overlaps(files, facts)
  for (const fault of [...contained.faults, ...wrongTimes(files, facts)]) {
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
    redundant: contained.redundant,
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

/** Groups the states of one replica into spans, with their times. */
export class StateSpans {
  readonly #times = new Map<TXID, number>()
  /** Every TXID that a file ends with, ascending. */
  readonly ends: readonly TXID[]

  constructor(
    files: readonly LtxFileInfo[],
    facts: ReadonlyMap<string, FileFacts>,
    times: ReadonlyMap<TXID, Date> = new Map(),
  ) {
    for (const { key, maxTxid, createdAt, lastModified } of files) {
      const time = facts.get(key)?.timestamp ?? (createdAt ?? lastModified).getTime()
      // The earliest of several files, since a snapshot of a state is taken later.
      this.#times.set(maxTxid, Math.min(time, this.#times.get(maxTxid) ?? time))
    }
    for (const [txid, time] of times) this.#times.set(txid, time.getTime())
    this.ends = [...this.#times.keys()].sort((a, b) => (a < b ? -1 : 1))
  }

  timeOf(txid: TXID): Date | undefined {
    const time = this.#times.get(txid)
    return time === undefined ? undefined : new Date(time)
  }

  /** Runs of consecutive ends that `belongs` accepts. */
  runs(belongs: (txid: TXID) => boolean): StateSpan[] {
    const spans: StateSpan[] = []
    let run: TXID[] = []
    const endRun = (): void => {
      const [from] = run
      const to = run.at(-1)
      if (from === undefined || to === undefined) return
      const times = { fromTime: this.timeOf(from), toTime: this.timeOf(to) }
      spans.push({ from, to, ...times, states: run.length })
      run = []
    }
    for (const txid of this.ends) {
      if (belongs(txid)) run.push(txid)
      else endRun()
    }
    endRun()
    return spans
  }

  /** The span from one TXID to another, whether files end there or not. */
  between(from: TXID, to: TXID): StateSpan {
    const ends = this.ends.filter((end) => end >= from && end <= to)
    const [first] = ends
    const last = ends.at(-1)
    return {
      from,
      to,
      fromTime: first && this.timeOf(first),
      toTime: last && this.timeOf(last),
      states: ends.length,
    }
  }
}
