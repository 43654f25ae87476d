import {
  type EngineEvent,
  failureIn,
  successIn,
  WORKS,
  type Work,
} from '../../core/engine/events.ts'
import type { FleetEvent } from '../watch/fleet-event.ts'

export interface OpenFailure {
  readonly work: Work
  readonly error: unknown
  /** What a verification or a restore drill found wrong with the replica; `undefined` for work that failed. */
  readonly finding: 'damage' | 'failed-drill' | undefined
}

const FINDINGS: ReadonlyMap<string, OpenFailure['finding']> = new Map([
  ['damage-found', 'damage'],
  ['drill-failed', 'failed-drill'],
])

/** The failures of each database that are not over, with their errors; a status has only the words of one. */
export class OpenFailures {
  readonly #failures = new Map<string, Map<Work, OpenFailure>>()

  note(event: FleetEvent): void {
    const { database } = event
    if (event.type === 'database-removed' || event.type === 'fenced') {
      this.#failures.delete(database)
      return
    }
    const own = this.#failures.get(database)
    const failure = failureIn(event as EngineEvent)
    if (failure !== undefined) {
      const finding = FINDINGS.get(event.type)
      const works = own ?? new Map<Work, OpenFailure>()
      this.#failures.set(database, works.set(failure.work, { ...failure, finding }))
      return
    }
    for (const work of successIn(event as EngineEvent)) own?.delete(work)
  }

  /** The most severe one, which is the one that the status of the database shows. */
  worst(database: string): OpenFailure | undefined {
    const own = this.#failures.get(database)
    const work = WORKS.find((candidate) => own?.has(candidate))
    return work && own?.get(work)
  }
}
