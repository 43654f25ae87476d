import { DatabaseError } from '../../core/db/index.ts'
import type { SyncRequest } from '../../core/engine/capture/sync-waiters.ts'
import { FencedError } from '../../core/engine/events.ts'
import type { TXID } from '../../core/ltx/index.ts'
import type { FleetEvent } from '../watch/fleet-event.ts'
import type { FleetStatus } from '../watch/fleet-status.ts'
import { ControlError, type SyncResult } from './protocol.ts'

/** The watcher behind the socket. */
export interface ControlTarget {
  databases(): readonly FleetStatus[]
  /** The answer to `status`. */
  document(databases: readonly FleetStatus[]): object
  /** See `Fleet.sync`. */
  sync(name: string, request: SyncRequest): Promise<TXID | undefined>
  onEvent(listener: (event: FleetEvent, now: Date) => void): () => void
}

/** What the methods of the protocol do, for all connections of one watcher. */
export class ControlMethods {
  readonly #target: ControlTarget
  /** Whose fault the last failure of a database was, by its name. */
  readonly #blame = new Map<string, 'StoreFailing' | 'DatabaseFailing'>()

  constructor(target: ControlTarget) {
    this.#target = target
    target.onEvent(({ type, database }) => {
      if (type === 'store-error') this.#blame.set(database, 'StoreFailing')
      if (type === 'database-error') this.#blame.set(database, 'DatabaseFailing')
      if (type === 'database-removed') this.#blame.delete(database)
    })
  }

  /** @throws ControlError `UnknownDatabase` */
  status(names: readonly string[] | undefined): object {
    return this.#target.document(this.#find(names))
  }

  /**
   * Resolves when everything that was committed before the call is in the stores.
   *
   * @throws ControlError that says why it is not, or the reason of the signal
   */
  async sync(
    when: SyncRequest['when'],
    names: readonly string[] | undefined,
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<SyncResult> {
    const timeout = new AbortController()
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => timeout.abort(), timeoutMs)
    const either = AbortSignal.any([signal, timeout.signal])
    try {
      const found = this.#find(names).filter(({ replica }) => replica !== undefined)
      const databases = found.map(async ({ name, replica }) => {
        this.#refuseStandby(name)
        try {
          return { name, replica, txid: await this.#target.sync(name, { when, signal: either }) }
        } catch (error) {
          signal.throwIfAborted()
          throw timeout.signal.aborted ? this.#late(name, timeoutMs ?? 0) : toControlError(error)
        }
      })
      return { databases: await Promise.all(databases) }
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * @param names of the databases to tell of; default: all
   * @param types of events to tell of; default: all
   * @returns ends it
   */
  subscribe(
    names: readonly string[] | undefined,
    types: readonly string[] | undefined,
    listener: (event: FleetEvent, now: Date) => void,
  ): () => void {
    return this.#target.onEvent((event, now) => {
      if (names !== undefined && !names.includes(event.database)) return
      if (types !== undefined && !types.includes(event.type)) return
      listener(event, now)
    })
  }

  #find(names: readonly string[] | undefined): readonly FleetStatus[] {
    const all = this.#target.databases()
    if (names === undefined) return all
    const unknown = names.find((name) => !all.some((database) => database.name === name))
    if (unknown === undefined) return all.filter(({ name }) => names.includes(name))
    const message = `This watcher has no database ${JSON.stringify(unknown)}.`
    throw new ControlError('UnknownDatabase', message, 'walsync status shows the names.')
  }

  #refuseStandby(name: string): void {
    const [own] = this.#find([name])
    if ((own?.state as string) !== 'standby') return
    throw new ControlError(
      'Standby',
      `This watcher stands by for ${name}: another process on this machine replicates it.`,
      'Ask the watcher that replicates it, or wait until this one has taken over.',
    )
  }

  #late(name: string, timeoutMs: number): ControlError {
    const own = this.#target.databases().find((database) => database.name === name)
    const reason = own?.engine?.lastError ?? own?.reason
    const blame = this.#blame.get(name) ?? 'DatabaseFailing'
    const code = reason === undefined ? 'Timeout' : blame
    const why = reason === undefined ? '' : `: ${reason}`
    return new ControlError(
      code,
      `The last commits of ${name} did not reach the store within ${timeoutMs} ms${why}`,
      'They are shipped when they can be; ask again, or allow more time.',
    )
  }
}

function toControlError(error: unknown): ControlError {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof ControlError) return error
  if (error instanceof FencedError) return new ControlError('Fenced', message, error.hint)
  if (error instanceof DatabaseError && error.code === 'Stopped') {
    return new ControlError('Stopped', message, error.hint)
  }
  return new ControlError('Internal', message)
}
