import type { SourceDatabase, WalIndexLook } from '../../db/index.ts'
import { walFrameOffset } from '../../wal/index.ts'
import type { CheckpointPolicy } from './checkpoint-policy.ts'

/**
 * Recognizes a log to which nothing has happened since a turn of the loop that found nothing to do:
 * with one short read, in place of the ten or so of a turn that finds it out again. A fleet takes
 * most of its turns for databases in which nothing happens.
 */
export class QuietLog {
  readonly #source: SourceDatabase
  readonly #checkpoints: CheckpointPolicy
  /** The log before the present turn. */
  #look: WalIndexLook | undefined
  /** The log before a turn that found nothing to do. */
  #quiet: WalIndexLook | undefined

  constructor(source: SourceDatabase, checkpoints: CheckpointPolicy) {
    this.#source = source
    this.#checkpoints = checkpoints
  }

  /** Has nothing been committed, copied or restarted since the last quiet turn? */
  get isStill(): boolean {
    return this.#quiet !== undefined && this.#source.guard.index.isStill(this.#quiet)
  }

  /** Call this at the beginning of a turn: what happens during it must not count as seen. */
  turnBegins(): void {
    this.#quiet = undefined
    this.#look = this.#source.guard.index.look()
  }

  /**
   * The turn has found nothing to do. A log with frames that cannot be read yet, or that is worth a
   * checkpoint, is not quiet: the next turn may find it otherwise, without a change of the index.
   */
  turnWasQuiet(): void {
    const { capture, pageSize } = this.#source
    const look = this.#look
    if (look === undefined) return
    const isCaptured = look.published === 0 || look.published === capture.position.wal.frame
    const walBytes = walFrameOffset(look.published, pageSize)
    if (isCaptured && !this.#checkpoints.isWorthwhile(walBytes)) this.#quiet = look
  }
}
