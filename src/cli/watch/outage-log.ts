import type { EngineEvent } from '../../core/engine/events.ts'
import { failureIn, successIn, WORKS, type Work } from '../../core/engine/events.ts'
import { isStoreError, type StoreError } from '../../core/store/index.ts'
import { describeEvent, fieldsOf, type LogLevelOfEvent, messageOf } from '../output/event-log.ts'
import type { Logger } from '../output/logger.ts'
import { formatSpan } from '../status/render-status.ts'
import type { FleetEvent } from './fleet-event.ts'

/** An outage that lasts this long is logged as an error, in milliseconds. */
const ESCALATE_MS = 3 * 60_000
const PLAIN: ReadonlySet<FleetEvent['type']> = new Set([
  'delete-failed',
  'damage-found',
  'drill-failed',
  'database-added',
])
const DOCTOR = 'walsync doctor -b URL checks what the store supports'

interface Failure {
  readonly work: Work
  readonly error: unknown
}

/** Something that fails, and what of the databases' work it keeps from being done. */
interface Outage {
  /** Nothing for a failure of one database's own. */
  readonly store: string | undefined
  /** In milliseconds. */
  readonly since: number
  readonly hit: Set<string>
  isEscalated: boolean
}

/**
 * Writes the events to the log. What fails is told when it begins, once for a store and not for each
 * database and try; once more when it lasts; and when it is over. The rest of it is for `debug`.
 */
export class OutageLog {
  readonly #logger: Logger
  readonly #storeOf: (database: string) => string
  readonly #outages = new Map<string, Outage>()

  /** @param storeOf what the store of a database is called */
  constructor(logger: Logger, storeOf: (database: string) => string) {
    this.#logger = logger
    this.#storeOf = storeOf
  }

  /** @param now in milliseconds */
  log(event: FleetEvent, now: number): void {
    // Failed deletions are rare and report their number; damage is not an outage.
    const isPlain = PLAIN.has(event.type)
    const failure = isPlain ? undefined : failureIn(event as EngineEvent)
    if (failure !== undefined) this.#failed(event, failure, now)
    else if (event.type === 'database-removed' || event.type === 'fenced') {
      this.#end(event.database, WORKS, now)
      this.#write(event)
    } else {
      const works = isPlain ? [] : successIn(event as EngineEvent)
      const isOver = this.#end(event.database, works, now)
      this.#write(event, isOver && event.type.endsWith('-recovered') ? 'debug' : undefined)
    }
  }

  #failed(event: FleetEvent, { work, error }: Failure, now: number): void {
    const key = this.#keyOf(event.database, work, error)
    const part = partOf(event.database, work)
    const outage = this.#outages.get(key)
    if (outage === undefined) {
      const store = isStoreError(error) ? this.#storeOf(event.database) : undefined
      this.#outages.set(key, { store, since: now, hit: new Set([part]), isEscalated: false })
      this.#writeFirst(event, error, store)
      return
    }
    outage.hit.add(part)
    const isLong = outage.store !== undefined && now - outage.since >= ESCALATE_MS
    if (isLong && !outage.isEscalated) this.#escalate(outage, error, now)
    else this.#write(event, 'debug')
  }

  #escalate(outage: Outage, error: unknown, now: number): void {
    outage.isEscalated = true
    const { store, since, hit } = outage
    const databases = new Set([...hit].map(databaseOf)).size
    const text = `the store has failed for ${formatSpan(now - since)}: ${messageOf(error)}`
    this.#logger.error({ store, databases, code: codeOf(error) }, `${text}${tryOf(error)}`)
  }

  #keyOf(database: string, work: Work, error: unknown): string {
    if (!isStoreError(error))
      return JSON.stringify([database, work, codeOf(error) ?? messageOf(error)])
    return outageKey(this.#storeOf(database), error)
  }

  /** Returns whether an outage of a store had hit one of them. */
  #end(database: string, works: readonly Work[], now: number): boolean {
    const parts = works.map((work) => partOf(database, work))
    let isOfStore = false
    for (const [key, { store, since, hit }] of this.#outages) {
      const isHit = parts.filter((part) => hit.delete(part)).length > 0
      if (isHit && store !== undefined) isOfStore = true
      if (!isHit || hit.size > 0) continue
      this.#outages.delete(key)
      if (store === undefined) continue
      const outageMs = Math.max(0, now - since)
      const text = `the store is reachable again after ${formatSpan(outageMs)}`
      this.#logger.info({ store, outageMs }, text)
    }
    return isOfStore
  }

  #writeFirst(event: FleetEvent, error: unknown, store: string | undefined): void {
    const [level, text] = describeEvent(event)
    const fields = store === undefined ? fieldsOf(event) : { store, ...fieldsOf(event) }
    this.#logger[level](fields, `${text}${tryOf(error)}`)
  }

  #write(event: FleetEvent, as?: LogLevelOfEvent): void {
    const [level, text] = describeEvent(event)
    this.#logger[as ?? level](fieldsOf(event), text)
  }
}

/**
 * Failures of a store with the same key are one outage: transient failures have one key, and
 * failures that someone has to fix have one key per code.
 */
export function outageKey(store: string, { retryable, code }: StoreError): string {
  return JSON.stringify([store, retryable ? '' : code])
}

/** The hint that a start gives for the same error. */
function tryOf(error: unknown): string {
  const { hint } = (error ?? {}) as { hint?: unknown }
  if (typeof hint === 'string') return ` try: ${hint}`
  return isStoreError(error) ? ` try: ${DOCTOR}` : ''
}

function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

function partOf(database: string, work: Work): string {
  return `${work}/${database}`
}

function databaseOf(part: string): string {
  return part.slice(part.indexOf('/') + 1)
}
