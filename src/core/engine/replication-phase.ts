import type { PageChecksums } from './idle/page-checksums.ts'

/** What is known of a database before it is opened. */
export type Known =
  | { readonly kind: 'nothing' }
  /** Its log was replaced or overwritten: only a new base continues the replica. */
  | { readonly kind: 'needsBase'; readonly reason: string }
  /** It was idle, and the replica ended with `sums`. */
  | {
      readonly kind: 'idle'
      readonly sums: PageChecksums
      /** The main file was written to or replaced since. */
      readonly isMainFileChanged: boolean
    }

/**
 * How far an opened database is on the way to being replicated. `prepare` moves it forward;
 * whatever breaks continuity moves it back.
 *
 * `unlocated`: the end of the replica is not known. With `baseReason`, a base follows in any case.
 * `needsBase`: the end is known, and the database cannot be proven to continue it. `reopened`: the
 * end is known to be the state that an idle database had; its pages are compared. `following`:
 * everything up to the capture's position is in the replica or in a pending file.
 */
export type Phase =
  | { readonly kind: 'unlocated'; readonly baseReason?: string | undefined }
  | { readonly kind: 'needsBase'; readonly reason: string }
  | { readonly kind: 'reopened'; readonly sums: PageChecksums }
  | { readonly kind: 'following' }

export const FOLLOWING: Phase = { kind: 'following' }

export function firstPhase(known: Known): Phase {
  if (known.kind === 'idle') return { kind: 'reopened', sums: known.sums }
  return unlocated(known.kind === 'needsBase' ? known.reason : undefined)
}

export function unlocated(baseReason?: string): Phase {
  return { kind: 'unlocated', baseReason }
}
