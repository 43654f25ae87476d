/**
 * How good the best state is that a replica of walsync 0.1 can provide.
 *
 * `complete`: exactly what the database held after the last commit in the replica, with nothing in
 * the replica left out. Commits that were never stored leave no trace, so this holds up to a time
 * and says nothing about later changes. `truncated`: exactly what the database held at some time,
 * but the replica shows, or makes likely, that there was more after it. `unverifiable`: nothing
 * proves that the database ever held exactly this.
 */
export type LegacyGrade = 'complete' | 'truncated' | 'unverifiable'

/**
 * Why a state is not `complete`.
 *
 * There was more after it: `uncommitted` (frames of a transaction whose commit was not stored, and
 * which later commits may have overwritten unseen), `hole` (later frames that do not continue the
 * log), `end-missing` (`state.json` says that more was stored), `newer-snapshot` (a later snapshot
 * has pages that no frame has), `burst` (the log ends in the middle of many commits, so there
 * probably was more). It cannot be proven exact: `restarted` (the log was restarted after the
 * snapshot, and its last frames may not have been stored), `not-anchored` (no frame shows where in
 * the log the snapshot belongs), `not-outlived` (nothing shows that the snapshot is not newer than
 * the last frame), `unvouched` (pages that only one snapshot has, which was stored without a
 * checksum), `weak-start` (a page that only the log's first frame has, whose checksum only partly
 * protects it because the header was not stored), `no-log` (a snapshot without any log), `no-state`
 * (no `state.json` to compare the last frame with), `forked` (two histories with commits), `mixed`
 * (two databases or programs under one name), `unaccounted` (frames that belong nowhere among those
 * in use).
 */
export type LegacyReasonCode =
  | 'uncommitted'
  | 'hole'
  | 'end-missing'
  | 'newer-snapshot'
  | 'burst'
  | 'restarted'
  | 'not-anchored'
  | 'not-outlived'
  | 'unvouched'
  | 'weak-start'
  | 'no-log'
  | 'no-state'
  | 'forked'
  | 'mixed'
  | 'unaccounted'

export interface LegacyReason {
  readonly code: LegacyReasonCode
  /** A sentence for the operator. */
  readonly message: string
  /** Object concerned, relative to the database's prefix. */
  readonly key?: string | undefined
}

const ENDS: ReadonlySet<LegacyReasonCode> = new Set([
  'uncommitted',
  'hole',
  'end-missing',
  'newer-snapshot',
  'burst',
])

/** The worst grade that the reasons imply. */
export function gradeOf(reasons: readonly LegacyReason[]): LegacyGrade {
  if (reasons.length === 0) return 'complete'
  return reasons.every(({ code }) => ENDS.has(code)) ? 'truncated' : 'unverifiable'
}

/** What the grade claims, in plain words. */
export function gradeSentence(grade: LegacyGrade, upTo: Date): string {
  const time = upTo.toISOString()
  if (grade === 'complete') {
    return `complete up to ${time}: exact, and nothing in the replica is left out. It is unknown whether the database changed later, because walsync 0.1 could stop storing without leaving a trace.`
  }
  if (grade === 'truncated') {
    return `truncated at ${time}: exactly what the database held at its last usable commit, which was stored by then. What came after it is missing or incomplete in the replica.`
  }
  return `unverifiable, up to about ${time}: nothing shows that the database ever held exactly this.`
}
