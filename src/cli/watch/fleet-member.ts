import { statSync } from 'node:fs'
import type { FencedError } from '../../core/engine/events.ts'
import { identityOf } from './inspect-file.ts'
import type { WatchedDatabase } from './watched-database.ts'

/** `fenced`: another writer owns its replica; it is not started again by itself. */
export type MemberPhase = 'adding' | 'running' | 'fenced' | 'ending'

/** A database that the engine has, and the files that this process therefore may hold open. */
export class FleetMember {
  readonly database: WatchedDatabase
  phase: MemberPhase
  /** Until the current phase is over; never rejects. */
  work: Promise<void> = Promise.resolve()
  /** Who has taken its replica over. */
  fenced: FencedError | undefined
  /** Why it was not let go as it should. */
  error: unknown
  readonly #identities = new Set<string>()

  constructor(database: WatchedDatabase, phase: MemberPhase) {
    this.database = database
    this.phase = phase
    this.look()
  }

  /** Device and inode of the file at its path and of those that stood there before and may still be open. */
  get identities(): ReadonlySet<string> {
    return this.#identities
  }

  /** Takes note of the file that is at its path now. */
  look(): void {
    try {
      this.#identities.add(identityOf(statSync(this.database.path)))
    } catch {
      // Gone, or out of reach: the engine says so, and what was noted before still counts.
    }
  }

  /** The engine holds nothing of it open any more. */
  released(): void {
    this.#identities.clear()
  }
}
