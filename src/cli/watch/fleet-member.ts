import { statSync } from 'node:fs'
import type { FencedError } from '../../core/engine/events.ts'
import { identityOf } from './inspect-file.ts'
import type { WatchedDatabase } from './watched-database.ts'

/** `fenced`: another writer owns its replica; it is not restarted automatically. */
export type MemberPhase = 'adding' | 'running' | 'fenced' | 'ending'

/**
 * A database that was handed to the engine, and the files that this process may have open because
 * of it.
 */
export class FleetMember {
  readonly database: WatchedDatabase
  phase: MemberPhase
  /** Resolves when the current phase is over; never rejects. */
  work: Promise<void> = Promise.resolve()
  /** Why it is fenced, with the writer that took over its replica. */
  fenced: FencedError | undefined
  /** Why it did not end cleanly. */
  error: unknown
  readonly #identities = new Set<string>()

  constructor(database: WatchedDatabase, phase: MemberPhase) {
    this.database = database
    this.phase = phase
    this.look()
  }

  /**
   * Device and inode of the file at its path, and of earlier files there that may still be open.
   */
  get identities(): ReadonlySet<string> {
    return this.#identities
  }

  /** Records the file that is at its path now. */
  look(): void {
    try {
      this.#identities.add(identityOf(statSync(this.database.path)))
    } catch {
      // Missing or inaccessible: the engine reports it, and the files recorded before still count.
    }
  }

  /** The engine has closed all of its files. */
  released(): void {
    this.#identities.clear()
  }
}
