import { isLaterRun } from '../core/wal/index.ts'
import type { AppliedRun } from './applied-run.ts'
import type { FrameChain } from './frame-chain.ts'
import { allFrames } from './known-frames.ts'
import type { LegacyEvidence } from './legacy-evidence.ts'

/**
 * Is the first frame of a run as good as proven, or does nothing of the result depend on it?
 *
 * Every other frame is held against two sums of 32 bits. At the first one, half of that goes into finding
 * the header's checkpoint sequence number, and the rest misses one in forty changes of a single bit. It is
 * wholly checked where the sequence is known from elsewhere: 0 in a log that was just made, or as
 * many restarts from another run as the salts say. Else its page has to be found a second time, or to
 * be written again later.
 */
export async function isFirstFrameProven(
  evidence: LegacyEvidence,
  { run, frames }: AppliedRun,
  pages: number,
): Promise<boolean> {
  const { history, replica } = evidence
  const { header } = run
  if (header.sequence === 0) return true
  const isRelated = history.runs.some(
    (other) => isLaterRun(other.header, header) || isLaterRun(header, other.header),
  )
  if (isRelated) return true
  const { chain, from } = run.spanAt(0)
  const pgno = chain.pgnos[from] as number
  const content = chain.contents[from] as bigint
  // The one change of the page number that the rest of the check misses, for either byte order.
  const other = (pgno ^ (header.bigEndian ? 0x80000000 : 0x80)) >>> 0
  const isHarmless = [pgno, other].every(
    (one) => one > pages || isRewritten(run.spans, one, frames),
  )
  if (isHarmless || hasTwin(allFrames(history), chain, from)) return true
  for (const snapshot of replica.snapshots.slice(-MAX_SNAPSHOTS)) {
    const held = await evidence.pageOf(snapshot, pgno, header.pageSize)
    if (held === content) return true
  }
  return false
}

/** Snapshots in which the page is looked for, the newest ones: one read of a page each. */
const MAX_SNAPSHOTS = 8

function isRewritten(spans: AppliedRun['run']['spans'], pgno: number, frames: number): boolean {
  return spans.some(({ chain, from, length, position }) => {
    for (let i = position === 0 ? 1 : 0; i < length && position + i < frames; i++) {
      if (chain.pgnos[from + i] === pgno) return true
    }
    return false
  })
}

/** Has another frame the same content of the same page? */
function hasTwin(
  ranges: Iterable<{ readonly chain: FrameChain }>,
  own: FrameChain,
  index: number,
): boolean {
  const pgno = own.pgnos[index]
  const content = own.contents[index]
  for (const { chain } of ranges) {
    for (let i = 0; i < chain.length; i++) {
      if (chain === own && i === index) continue
      if (chain.pgnos[i] === pgno && chain.contents[i] === content) return true
    }
  }
  return false
}
