import { Backoff } from '../../core/async/backoff.ts'
import type { DatabasePlace } from '../config/config.ts'
import { type FileState, type InspectedFile, inspectFile } from './inspect-file.ts'

/**
 * Files that come and go in a folder pass through these states; only those that stay in one are
 * reported.
 */
const TRANSIENT_STATES: ReadonlySet<FileState> = new Set(['empty', 'not-wal', 'held', 'unreadable'])

/** Holds data, and will not be replicated until someone acts. */
const UNSUITABLE_STATES: ReadonlySet<FileState> = new Set(['not-wal', 'not-sqlite', 'not-a-file'])
/** An application that starts may need this long to bring its database into WAL mode, in milliseconds. */
const UNSUITABLE_MS = 60_000

/**
 * A database that should be replicated but is not: there is no suitable file yet, or it could not
 * be opened and is retried.
 */
export class WaitingDatabase {
  readonly #path: string
  readonly #kind: DatabasePlace['kind']
  readonly #backoff = new Backoff()
  #file: InspectedFile | undefined
  #sightings = 0
  /** When it was first found in this state, in milliseconds. */
  #since = 0
  #reported: string | undefined
  #error: unknown
  #hasFailed = false
  #retryAt = 0

  constructor(path: string, kind: DatabasePlace['kind']) {
    this.#path = path
    this.#kind = kind
  }

  /**
   * A file that is not a database and was not named explicitly, such as a README in a folder of
   * databases.
   */
  get isUnrelatedFile(): boolean {
    return this.#kind !== 'path' && this.#file?.state === 'not-sqlite'
  }

  /** Why it is not replicated; `undefined` for an unrelated file. */
  get reason(): string | undefined {
    if (this.#error !== undefined) return messageOf(this.#error)
    return this.#file === undefined || this.isUnrelatedFile ? undefined : describeFile(this.#file)
  }

  /** Has a start of it failed, although its file looked right? */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** Is it more than missing, so that someone has to act? A file that is not suitable has a minute to become so. */
  isFailing(now: number): boolean {
    const state = this.#file?.state
    if (this.#error !== undefined || state === 'unreadable') return true
    if (state === undefined || this.isUnrelatedFile) return false
    return UNSUITABLE_STATES.has(state) && now - this.#since >= UNSUITABLE_MS
  }

  /** The database uses a rollback journal. */
  get isNotWal(): boolean {
    return this.#file?.state === 'not-wal'
  }

  /** Checks whether it can be started now. */
  isReady(now: number, isHeld: (identity: string) => boolean): boolean {
    if (now < this.#retryAt) return false
    const file = inspectFile(this.#path, isHeld, this.#file)
    const isSame = file.state === this.#file?.state
    this.#sightings = isSame ? this.#sightings + 1 : 1
    if (!isSame) this.#since = now
    this.#file = file
    if (file.state !== 'ready') this.#error = undefined
    return file.state === 'ready'
  }

  /** The state of the file in words, once for each state that lasts. */
  takeStatusChange(): string | undefined {
    const state = this.#file?.state
    if (this.#file === undefined || state === undefined || state === 'ready') return undefined
    if (this.#reported === state || (TRANSIENT_STATES.has(state) && this.#sightings < 2))
      return undefined
    const isUsual = state === 'empty' || (state === 'not-sqlite' && this.#kind === 'folder')
    if (this.#kind !== 'path' && isUsual) return undefined
    this.#reported = state
    return describeFile(this.#file)
  }

  /**
   * Records that it could not be started. It is retried after a pause.
   *
   * @returns the pause in milliseconds, and whether the error differs from the last one
   */
  failed(error: unknown, now: number): { readonly retryInMs: number; readonly isNew: boolean } {
    const isNew = this.#error === undefined || messageOf(this.#error) !== messageOf(error)
    const retryInMs = this.#backoff.next()
    this.#error = error
    this.#hasFailed = true
    this.#retryAt = now + retryInMs
    return { retryInMs, isNew }
  }
}

function describeFile({ state, error }: InspectedFile): string {
  switch (state) {
    case 'ready':
      return 'it is about to start'
    case 'missing':
      return 'there is no file yet'
    case 'empty':
      return 'the database is empty'
    case 'held':
      return 'the same file is replicated under another name'
    case 'not-a-file':
      return 'it is not a regular file'
    case 'not-sqlite':
      return 'it is not an SQLite database'
    case 'not-wal':
      return 'it is not in WAL mode; run once, in the application: PRAGMA journal_mode = wal'
    case 'unreadable':
      return `it cannot be read: ${error?.message ?? 'unknown'}`
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
