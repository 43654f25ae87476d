import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import type { FileFacts } from './file-facts.ts'
import type { StateSpan } from './verify-report.ts'

/** Groups states of one replica into spans, and knows their times. */
export class StateSpans {
  readonly #times = new Map<TXID, number>()
  /** Every TXID that a file ends with, ascending. */
  readonly ends: readonly TXID[]

  constructor(files: readonly LtxFileInfo[], facts: ReadonlyMap<string, FileFacts>) {
    for (const { key, maxTxid, createdAt, lastModified } of files) {
      const time = facts.get(key)?.timestamp ?? (createdAt ?? lastModified).getTime()
      // Of several files, the earliest: a snapshot of a state comes later than the state.
      this.#times.set(maxTxid, Math.min(time, this.#times.get(maxTxid) ?? time))
    }
    this.ends = [...this.#times.keys()].sort((a, b) => (a < b ? -1 : 1))
  }

  timeOf(txid: TXID): Date | undefined {
    const time = this.#times.get(txid)
    return time === undefined ? undefined : new Date(time)
  }

  /** Runs of neighbours among the ends that `belongs` accepts. */
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

  /** Everything from one TXID to another, whether files end there or not. */
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
