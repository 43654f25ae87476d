import { lockPage } from '../core/ltx/index.ts'
import { type AppliedRun, sizeAfter } from './applied-run.ts'

/** Where each page of a replayed database comes from. */
export interface PageSources {
  /** Size of the database, in pages. */
  readonly pages: number
  /** Are all of them frames of the last run? Then it is exact whatever lies before that run. */
  readonly allFromLastRun: boolean
  /** Pages that only the snapshot has. */
  readonly fromBase: readonly number[]
  /** A page that nothing has. */
  readonly missing: number | undefined
}

/**
 * Works out the sources of the database that runs make of a snapshot of `basePages` pages. A page counts if no newer
 * frame has it and every newer commit's database still reached that far; the lock page is left out.
 */
export function pageSources(runs: readonly AppliedRun[], basePages: number): PageSources {
  const last = runs.at(-1) as AppliedRun
  const pages = sizeAfter(last)
  const marks = new Uint8Array(pages + 1)
  let limit = pages
  for (const { run, frames } of runs.toReversed()) {
    const mark = run === last.run ? FROM_LAST_RUN : FROM_EARLIER_RUN
    for (const { chain, from, length, position } of run.spans.toReversed()) {
      for (let i = Math.min(length, frames - position) - 1; i >= 0; i--) {
        const commit = chain.commits[from + i] as number
        if (commit !== 0 && commit < limit) limit = commit
        const pgno = chain.pgnos[from + i] as number
        if (pgno <= limit && marks[pgno] === 0) marks[pgno] = mark
      }
    }
  }
  const lock = lockPage(last.run.header.pageSize)
  const fromBase: number[] = []
  let allFromLastRun = true
  let missing: number | undefined
  for (let pgno = 1; pgno <= pages; pgno++) {
    if (pgno === lock || marks[pgno] === FROM_LAST_RUN) continue
    allFromLastRun = false
    if (marks[pgno] !== 0) continue
    if (pgno <= Math.min(limit, basePages)) fromBase.push(pgno)
    else missing ??= pgno
  }
  return { pages, allFromLastRun, fromBase, missing }
}

const FROM_EARLIER_RUN = 1
const FROM_LAST_RUN = 2
