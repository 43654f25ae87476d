import type { TXID } from '../ltx/index.ts'
import {
  type LtxFileInfo,
  type ReplicaClient,
  ReplicaError,
  type ReplicaErrorCode,
} from '../replica/replica-client.ts'
import { type CallOptions, copyError, isArchived, type StoreError } from '../store/index.ts'
import { lastTxid, restorableTo } from './reachable-states.ts'
import { RestoreError, restorableSentence } from './restore-error.ts'
import { planRestore, type RestorePlan } from './restore-plan.ts'
import type { RestoreTarget } from './restore-target.ts'
import {
  firstOfEach,
  readStateTime,
  resolveTime,
  type TimedState,
  timeWarnings,
} from './restore-time.ts'

/** An object that could not be used, although other objects gave the same state. */
export interface AvoidedObject {
  readonly key: string
  readonly reason: string
}

/** How many objects to avoid before giving up: a replica with more needs repair. */
export const MAX_AVOIDED = 5

/** What a restore learns about the replica during all its attempts. */
export class RestoreAttempts {
  readonly avoided: AvoidedObject[] = []
  readonly #client: ReplicaClient
  readonly #target: RestoreTarget
  readonly #signal: AbortSignal | undefined
  #files: readonly LtxFileInfo[] | undefined
  #plan: RestorePlan | undefined
  #relists = 0
  #vanished: BadObject | undefined

  constructor(client: ReplicaClient, target: RestoreTarget, signal: AbortSignal | undefined) {
    this.#client = client
    this.#target = target
    this.#signal = signal
  }

  /** The plan of the next attempt. */
  async plan(): Promise<RestorePlan> {
    this.#files ??= this.#usable(await this.#client.list({ signal: this.#signal }))
    try {
      this.#plan = await this.#planFrom(this.#files)
      return this.#plan
    } catch (error) {
      if (error instanceof RestoreError && this.#vanished !== undefined) {
        throw this.#giveUp(this.#vanished)
      }
      throw error
    }
  }

  /**
   * Time of the planned state, if neither the listing nor the header of the plan's last file has
   * it.
   */
  async readTime(plan: RestorePlan): Promise<Date | undefined> {
    const ends = (this.#files ?? []).filter(({ maxTxid }) => maxTxid === plan.txid)
    if (plan.time !== undefined || firstOfEach(ends)[0]?.key === plan.files.at(-1)?.key) {
      return plan.time
    }
    try {
      return await readStateTime(this.#client, ends, plan.txid, { signal: this.#signal })
    } catch (error) {
      // The state can be restored without that file.
      if (error instanceof ReplicaError || isArchived(error)) return undefined
      throw error
    }
  }

  /** Returns if another attempt may succeed; otherwise throws the error for the caller. */
  async failed(error: unknown): Promise<void> {
    const bad = badObject(error)
    if (bad === undefined) throw error
    const isElsewhere = bad.code === 'MissingObject' || bad.code === 'ObjectChanged'
    if (isElsewhere && (await this.#listsAnew(bad))) return
    if (this.#plan === undefined || this.avoided.length >= MAX_AVOIDED) throw this.#giveUp(bad)
    this.avoided.push({ key: bad.key, reason: bad.message })
    this.#files = this.#usable(this.#files ?? [])
    try {
      planRestore(this.#files, { kind: 'txid', txid: this.#plan.txid })
    } catch {
      throw this.#giveUp(bad)
    }
  }

  async #planFrom(files: readonly LtxFileInfo[]): Promise<RestorePlan> {
    if (this.avoided.length === 0 || this.#plan === undefined) {
      return planFromListing(this.#client, files, this.#target, { signal: this.#signal })
    }
    // Exactly the state of the previous plan: without an object, "latest" would silently mean an
    // older one.
    const { txid, time, target, warnings } = this.#plan
    return { ...planRestore(files, { kind: 'txid', txid }), target, time, warnings }
  }

  /**
   * Lists again because an object is gone or has changed. False if the listing still shows it as
   * before.
   */
  async #listsAnew(bad: BadObject): Promise<boolean> {
    if (this.#relists === MAX_RELISTS) return false
    this.#relists++
    const before = this.#files?.find((file) => file.key === bad.key)
    const files = await this.#client.list({ signal: this.#signal })
    this.#files = this.#usable(files)
    const now = files.find((file) => file.key === bad.key)
    if (now !== undefined && now.size === before?.size) return false
    // Retention only deletes files that others cover, so a missing last file was not deleted by it.
    if (this.#plan !== undefined && lastTxid(this.#files) < this.#plan.txid) throw this.#giveUp(bad)
    this.#vanished = bad
    return true
  }

  #usable(files: readonly LtxFileInfo[]): LtxFileInfo[] {
    const avoided = new Set(this.avoided.map(({ key }) => key))
    return files.filter((file) => !avoided.has(file.key))
  }

  #giveUp(bad: BadObject): RestoreError | StoreError {
    const others = (this.#files ?? []).filter((file) => file.key !== bad.key)
    const point = restorableTo(others, this.#plan?.txid)
    if (bad.code === 'ArchivedObject') {
      const message = `${bad.message} ${restorableSentence(point)}`
      return copyError(bad.cause, { message })
    }
    const code = bad.code === 'DamagedObject' ? 'DamagedObject' : 'MissingObject'
    return new RestoreError(code, `${bad.message} ${restorableSentence(point)}`, {
      key: bad.key,
      cause: bad.cause,
      restorableTo: point,
      hint: 'Copy the object back from another copy of the replica, or restore the state before it.',
    })
  }
}

interface BadFile {
  readonly code: Exclude<ReplicaErrorCode, 'ArchivedObject'>
  readonly key: string
  readonly message: string
  readonly cause: Error
}

/** Intact, but not accessible until it is restored from the archive tier. */
interface ArchivedFile {
  readonly code: 'ArchivedObject'
  readonly key: string
  readonly message: string
  readonly cause: StoreError
}

type BadObject = BadFile | ArchivedFile

function badObject(error: unknown): BadObject | undefined {
  if (error instanceof ReplicaError && error.code !== 'ArchivedObject') {
    return { code: error.code, key: error.key, message: error.message, cause: error }
  }
  if (isArchived(error) && error.key !== undefined) {
    const { key } = error
    const message = `The object ${key} is in an archive tier and cannot be read now.`
    return { code: 'ArchivedObject', key, message, cause: error }
  }
  if (!(error instanceof RestoreError) || error.code !== 'DamagedObject') return undefined
  if (error.key === undefined) return undefined
  return { code: error.code, key: error.key, message: error.message, cause: error }
}

/** Further listings if files vanish between listing and reading. */
export const MAX_RELISTS = 2

/**
 * Lists a replica and plans a restore from it; writes nothing. Reads headers of 100 bytes only if
 * the store does not list the files' times.
 *
 * @throws RestoreError `NoReplica`, `Gap`, `TargetNotReachable`
 * @throws ReplicaError for a header that is needed and cannot be read
 * @throws StoreError
 */
export async function planFor(
  client: ReplicaClient,
  target: RestoreTarget,
  options: CallOptions = {},
): Promise<RestorePlan> {
  for (let relists = 0; ; relists++) {
    const files = await client.list(options)
    try {
      const plan = await planFromListing(client, files, target, options)
      const time = plan.time ?? (await readStateTime(client, files, plan.txid, options))
      return { ...plan, time }
    } catch (error) {
      const vanished = error instanceof ReplicaError && error.code !== 'DamagedObject'
      if (!vanished || relists === MAX_RELISTS) throw error
    }
  }
}

/** `planRestore`, with the header reads that a target time needs on a store without times. */
export async function planFromListing(
  client: ReplicaClient,
  files: readonly LtxFileInfo[],
  target: RestoreTarget,
  options: CallOptions = {},
): Promise<RestorePlan> {
  if (target.kind !== 'time') return planRestore(files, target)
  const warningsFor = (chosen: TXID, states: readonly TimedState[]) =>
    timeWarnings(states, firstOfEach(files), chosen, target.time, new Date())
  if (files.every((file) => file.createdAt !== undefined)) {
    const plan = planRestore(files, target)
    return { ...plan, warnings: warningsFor(plan.txid, listedTimes(files)) }
  }
  const { txid, time, states } = await resolveTime(client, files, target.time, options)
  const plan = planRestore(files, { kind: 'txid', txid })
  return { ...plan, target, time, warnings: warningsFor(txid, states) }
}

function listedTimes(files: readonly LtxFileInfo[]): TimedState[] {
  return firstOfEach(files).map(({ maxTxid, createdAt, lastModified }) => {
    return { txid: maxTxid, time: createdAt as Date, storedAt: lastModified }
  })
}
