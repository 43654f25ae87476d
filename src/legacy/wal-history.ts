import { isLaterRun, isNextRun } from '../core/wal/index.ts'
import type { FrameChain } from './frame-chain.ts'
import type { LegacySegment } from './list-legacy.ts'
import { WalRun } from './wal-run.ts'

/** Everything that was uploaded of a database's WAL, put in order. */
export interface WalHistory {
  readonly segments: readonly LegacySegment[]
  /** In the order of their first upload. */
  readonly runs: readonly WalRun[]
  /** Runs with uploads that do not fit: where such a run ends is unknown. */
  readonly broken: ReadonlySet<WalRun>
  /**
   * Chains that belong to no run: frames before them are missing, they are damaged, or they are
   * leftovers in the WAL from an earlier run.
   */
  readonly loose: readonly FrameChain[]
  /** For each chain in a run, the number of frames before it in that run. */
  readonly places: ReadonlyMap<FrameChain, { readonly run: WalRun; readonly position: number }>
  /**
   * The chains of each segment, in order; no entry for a segment of which no frame could be read.
   */
  readonly chains: ReadonlyMap<LegacySegment, readonly FrameChain[]>
}

/**
 * Puts chains in order. Checksums prove their positions; times only order the runs and decide which
 * of two uploads of the same position is later.
 *
 * @param chains By segment; those of one segment in order.
 */
export function assembleHistory(
  segments: readonly LegacySegment[],
  chains: readonly FrameChain[],
): WalHistory {
  const runs = new Map<string, WalRun>()
  const places = new Map<FrameChain, { run: WalRun; position: number }>()
  const waiting: FrameChain[] = []
  const put = (chain: FrameChain, run: WalRun, position: number): void => {
    run.place(chain, position)
    places.set(chain, { run, position })
  }
  for (const chain of chains) {
    const id = idOf(chain)
    if (chain.header !== undefined && !runs.has(id)) runs.set(id, new WalRun(chain.header))
    const run = runs.get(id)
    const position = run?.placeOf(chain.before)
    if (run !== undefined && position !== undefined) put(chain, run, position)
    else waiting.push(chain)
  }
  for (const [id, rest] of Map.groupBy(waiting, idOf)) {
    const run = runs.get(id)
    if (run !== undefined) placeLate(run, rest, put)
  }
  const loose = chains.filter((chain) => !places.has(chain))
  const salts = new Set(loose.map(saltsOf))
  const ordered = [...runs.values()].sort((a, b) => firstUpload(a) - firstUpload(b))
  return {
    segments,
    runs: ordered,
    broken: new Set(ordered.filter(({ header }) => salts.has(saltsOf(header)))),
    loose,
    places,
    chains: Map.groupBy(chains, ({ segment }) => segment),
  }
}

/** Is it certain that `next` came directly after `run`? Says nothing about where `run` ended. */
export function follows({ broken }: WalHistory, run: WalRun, next: WalRun): boolean {
  return isNextRun(run.header, next.header) && !broken.has(run)
}

/**
 * Were the two runs uploaded at the same time? Then two databases or two programs used one name.
 */
export function areMixed(a: WalRun, b: WalRun): boolean {
  if (isLaterRun(a.header, b.header) || isLaterRun(b.header, a.header)) return false
  return firstUpload(a) <= lastUpload(b) && firstUpload(b) <= lastUpload(a)
}

export function firstUpload(run: WalRun): number {
  return run.spans[0]?.chain.segment.uploadedAt.getTime() ?? 0
}

function lastUpload(run: WalRun): number {
  return run.spans.at(-1)?.chain.segment.uploadedAt.getTime() ?? 0
}

/** Chains that were uploaded before the one they continue, or that begin within an upload. */
function placeLate(
  run: WalRun,
  chains: readonly FrameChain[],
  put: (chain: FrameChain, run: WalRun, position: number) => void,
): void {
  let rest = chains
  for (let count = -1; count !== rest.length; ) {
    count = rest.length
    const among = run.placesAmongFrames(new Set(rest.map(({ before }) => before)))
    rest = rest.filter((chain) => {
      const position = run.placeOf(chain.before) ?? among.get(chain.before)
      // A chain placed in the meantime may have changed the run.
      if (position === undefined || !run.hasPlace(position, chain.before)) return true
      put(chain, run, position)
      return false
    })
  }
}

function idOf(chain: FrameChain): string {
  return `${saltsOf(chain)}-${chain.pageSize}-${chain.bigEndian}`
}

function saltsOf({ salt1, salt2 }: Pick<FrameChain, 'salt1' | 'salt2'>): string {
  return `${salt1}-${salt2}`
}
