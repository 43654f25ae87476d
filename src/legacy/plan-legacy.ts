import { reasonsAtEnd } from './end-of-log.ts'
import { exactnessReasons, notOutlived } from './exactness.ts'
import { freshness } from './freshness.ts'
import type { LegacyEvidence } from './legacy-evidence.ts'
import { gradeOf, type LegacyGrade, type LegacyReason } from './legacy-grade.ts'
import type { LegacySegment, LegacySnapshot } from './list-legacy.ts'
import { type Replay, replayGroups } from './replay.ts'
import { type AppliedRun, lastSegment } from './wal-run.ts'

/** One way to restore a replica of walsync 0.1, and how good the result is. */
export interface LegacyPlan {
  /** `undefined` if the frames alone contain the whole database. */
  readonly base: LegacySnapshot | undefined
  /** In the order of the replay; none for a snapshot alone. */
  readonly runs: readonly AppliedRun[]
  /** Segments that hold frames to replay, each once. */
  readonly segments: readonly LegacySegment[]
  /**
   * The time by which the last commit in it had been stored; for a snapshot alone, when it was
   * taken.
   */
  readonly upTo: Date
  readonly grade: LegacyGrade
  /** Empty for `complete`. */
  readonly reasons: readonly LegacyReason[]
}

/**
 * Plans for a restore, the best one first: those that reach the latest state come first, and among
 * them those that can be proven. Each further plan is for the case that SQLite finds the result of
 * the previous one corrupt.
 *
 * @param until Nothing stored later is used; `undefined` for the latest state.
 */
export async function* legacyPlans(
  evidence: LegacyEvidence,
  until: Date | undefined,
): AsyncGenerator<LegacyPlan, void, void> {
  const snapshots = evidence.replica.snapshots
    .filter(({ storedAt, takenAt }) => !until || (storedAt <= until && takenAt <= until))
    .toReversed()
  const [newest] = snapshots
  const groups = replayGroups(evidence.history, snapshots, until)
  const first = groups.next()
  if (first.done === true) {
    for (const snapshot of snapshots) yield alone(snapshot)
    return
  }
  const group = first.value
  const state = newest && (await freshness(evidence, newest, group[0] as Replay))
  if (newest !== undefined && state === 'later') yield alone(newest)
  const doubtOf = ({ sources }: Replay): LegacyReason[] => {
    if (newest === undefined || state === 'older') return []
    if (state === 'later') return [newerSnapshot(newest)]
    // No page comes from the snapshot, which was begun before the log ended.
    if (state === 'behind' && sources.allFromLastRun) return []
    return [notOutlived(evidence.history, newest)]
  }
  yield* replays(evidence, group, until, doubtOf)
  for (const earlier of groups) yield* replays(evidence, earlier, until, doubtOf)
  for (const snapshot of snapshots) {
    if (snapshot !== newest || state !== 'later') yield alone(snapshot)
  }
}

/**
 * The first one proven exact, then the others; those whose only risk is unnoticed damage come
 * first.
 */
async function* replays(
  evidence: LegacyEvidence,
  group: readonly Replay[],
  until: Date | undefined,
  doubtOf: (replay: Replay) => readonly LegacyReason[],
): AsyncGenerator<LegacyPlan, void, void> {
  const others: { readonly plan: LegacyPlan; readonly isRight: boolean }[] = []
  for (const replay of group) {
    const reasons = await exactnessReasons(evidence, replay)
    const plan = planOf(evidence, replay, until, [...reasons, ...doubtOf(replay)])
    if (reasons.length === 0) {
      yield plan
      break
    }
    const isRight = reasons.every(({ code }) => code === 'unvouched' || code === 'weak-start')
    others.push({ plan, isRight })
  }
  for (const { plan } of others.toSorted((a, b) => Number(b.isRight) - Number(a.isRight)))
    yield plan
}

function planOf(
  { history, state }: LegacyEvidence,
  { base, runs }: Replay,
  until: Date | undefined,
  known: readonly LegacyReason[],
): LegacyPlan {
  const last = runs.at(-1) as AppliedRun
  const all = [...known, ...reasonsAtEnd(history, state, last, until)]
  const reasons = all.filter(({ code }, i) => all.findIndex((one) => one.code === code) === i)
  const { uploadedAt } = lastSegment(last)
  const segments = segmentsOf(runs)
  return { base, runs, segments, upTo: uploadedAt, grade: gradeOf(reasons), reasons }
}

function segmentsOf(runs: readonly AppliedRun[]): LegacySegment[] {
  const used = runs.flatMap(({ run, frames }) =>
    run.spans.filter(({ position }) => position < frames).map(({ chain }) => chain.segment),
  )
  return [...new Set(used)]
}

function alone(snapshot: LegacySnapshot): LegacyPlan {
  const { key, takenAt } = snapshot
  const message = `${key} alone: walsync 0.1 copied the file while it was in use and without its log. Recent commits may be missing, and pages of different moments may be mixed.`
  const reasons: LegacyReason[] = [{ code: 'no-log', message, key }]
  return { base: snapshot, runs: [], segments: [], upTo: takenAt, grade: gradeOf(reasons), reasons }
}

function newerSnapshot({ key }: LegacySnapshot): LegacyReason {
  const message = `${key} was taken after the last usable frame and has pages that nothing else in the replica has: some commits were never stored.`
  return { code: 'newer-snapshot', message, key }
}
