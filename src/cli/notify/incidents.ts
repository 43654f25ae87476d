import { randomUUID } from 'node:crypto'
import type { Trouble, TroubleKind } from './trouble.ts'

/** Trouble of one kind, of all databases that it hit together. */
export interface Incident {
  readonly id: string
  readonly kind: TroubleKind
  /** In milliseconds since 1970. */
  readonly since: number
  /** When no database had it any more. */
  readonly until?: number | undefined
  /** Of the database that was hit first. */
  readonly first: Trouble
  /** Every database that was hit, also those for which it is over. */
  readonly databases: ReadonlySet<string>
}

interface Open extends Incident {
  readonly databases: Set<string>
  since: number
  until: number | undefined
  /** Its start was reported. */
  isReported: boolean
}

/** What one look found: incidents to report. */
export interface Changes {
  readonly started: readonly Incident[]
  readonly ended: readonly Incident[]
}

/** What is reported even if the process ends before a second look. */
const LASTING: ReadonlySet<TroubleKind> = new Set(['fenced', 'replica-damaged', 'drill-failed'])

/**
 * Makes incidents of what is wrong with single databases, look by look. An incident starts when two
 * looks in a row found it, and is over when two looks in a row found no database that has it: what
 * passes at once is none, and databases that fail together are one.
 */
export class Incidents {
  readonly #open = new Set<Open>()

  /**
   * @param troubles what is wrong now, by database
   * @param now in milliseconds since 1970
   */
  look(troubles: ReadonlyMap<string, readonly Trouble[]>, now: number): Changes {
    const before = [...this.#open]
    const present = this.#assign(troubles, now)
    const started: Incident[] = []
    const ended: Incident[] = []
    for (const incident of before) {
      if (present.has(incident)) {
        incident.until = undefined
        if (!incident.isReported) started.push(incident)
        incident.isReported = true
      } else if (!incident.isReported) {
        this.#open.delete(incident)
      } else if (incident.until === undefined) {
        incident.until = now
      } else {
        this.#open.delete(incident)
        ended.push(incident)
      }
    }
    return { started, ended }
  }

  /** The last look, at the end of the process: what will not pass is reported without a second one. */
  lastLook(troubles: ReadonlyMap<string, readonly Trouble[]>, now: number): readonly Incident[] {
    const lasting = [...troubles].map(
      ([name, all]) => [name, all.filter(({ kind }) => LASTING.has(kind))] as const,
    )
    this.#assign(new Map(lasting), now)
    const found = [...this.#open].filter(({ kind, isReported }) => LASTING.has(kind) && !isReported)
    for (const incident of found) incident.isReported = true
    return found
  }

  /** Puts each database's trouble into its incident. @returns incidents that some database has now */
  #assign(troubles: ReadonlyMap<string, readonly Trouble[]>, now: number): Set<Open> {
    const present = new Set<Open>()
    for (const [database, all] of troubles) {
      for (const trouble of all) {
        const incident = this.#incidentOf(database, trouble) ?? opened(trouble, now)
        this.#open.add(incident)
        incident.databases.add(database)
        incident.since = Math.min(incident.since, trouble.since ?? now)
        present.add(incident)
      }
    }
    return present
  }

  #incidentOf(database: string, { kind, group, code }: Trouble): Open | undefined {
    const same = [...this.#open].filter(({ first }) => first.kind === kind)
    if (group !== undefined) return same.find(({ first }) => first.group === group)
    const own = same.find(({ databases }) => databases.has(database))
    return own ?? same.find(({ isReported, first }) => !isReported && first.code === code)
  }
}

function opened(first: Trouble, now: number): Open {
  const { kind, since = now } = first
  const databases = new Set<string>()
  return { id: randomUUID(), kind, first, since, until: undefined, databases, isReported: false }
}
