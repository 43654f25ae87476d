import { isDeepStrictEqual } from 'node:util'
import { UsageError } from '../args/usage-error.ts'
import { findFiles } from './find-files.ts'
import type { Fleet, FleetChanges } from './fleet.ts'
import {
  type RefusedFile,
  type ResolvedDatabases,
  refuseConflicts,
  resolveDatabases,
  type SourceFiles,
} from './resolve-databases.ts'
import type { WatchPlan, WatchSource } from './watch-plan.ts'

/** Receives what was found apart from the databases themselves. */
export interface DiscoveryListener {
  /** A file that matches but is not replicated. Called once as long as that does not change. */
  refused(path: string, reason: string): void
  /** A folder that cannot be read. The databases found in it before are still replicated. */
  unreadable(folder: string, error: Error): void
}

/** Finds the files that a plan refers to, and hands the databases to the fleet. */
export class DatabaseDiscovery {
  readonly #fleet: Fleet
  readonly #cwd: string
  readonly #listener: DiscoveryListener
  readonly #abort = new AbortController()
  #plan: WatchPlan
  #found: readonly SourceFiles[] = []
  #refused: ReadonlySet<string> = new Set()
  #unreadable: ReadonlySet<string> = new Set()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> = Promise.resolve()

  constructor(plan: WatchPlan, fleet: Fleet, cwd: string, listener: DiscoveryListener) {
    this.#plan = plan
    this.#fleet = fleet
    this.#cwd = cwd
    this.#listener = listener
  }

  /**
   * Switches to another plan if all of its databases can be replicated; otherwise nothing changes.
   *
   * @throws UsageError for two databases that are one file or would share a replica
   */
  take(plan: WatchPlan): Promise<FleetChanges> {
    const turn = this.#looking.then(async () => {
      const found = await this.#look(plan)
      const resolved = this.#resolve(found)
      refuseConflicts(resolved)
      this.#plan = plan
      return this.#put(found, resolved)
    })
    this.#looking = turn.then(
      () => undefined,
      () => undefined,
    )
    return turn
  }

  /** Checks again at every poll interval, the shortest of all sources. */
  start(): void {
    if (this.#abort.signal.aborted) return
    const waitMs = Math.min(...this.#plan.sources.map(({ settings }) => settings.pollIntervalMs))
    this.#timer = setTimeout(() => {
      void this.lookNow().finally(() => this.start())
    }, waitMs)
  }

  /** Checks again now, after a check that is already running. */
  lookNow(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#lookAgain())
    return this.#looking
  }

  /**
   * Does not wait for a check that is running: a folder on a dead network disk may never respond.
   */
  stop(): void {
    this.#abort.abort()
    clearTimeout(this.#timer)
  }

  async #lookAgain(): Promise<void> {
    if (this.#abort.signal.aborted) return
    try {
      const found = await this.#look(this.#plan)
      if (this.#abort.signal.aborted) return
      if (sameFiles(found, this.#found)) this.#fleet.reconcile()
      else this.#put(found, this.#resolve(found))
    } catch (error) {
      if (this.#abort.signal.aborted) return
      if (!(error instanceof UsageError)) throw error
      // Two of the named paths have become links to one file: nothing changes.
      this.#fleet.reconcile()
      this.#tellRefused([{ path: '', reason: error.message }])
    }
  }

  async #look(plan: WatchPlan): Promise<SourceFiles[]> {
    const unreadable = new Set<string>()
    const found = await Promise.all(
      plan.sources.map(async (source) => {
        const { files, failure } = await findFiles(source.where, this.#abort.signal)
        if (failure === undefined) return { source, files }
        unreadable.add(failure.folder)
        if (!this.#unreadable.has(failure.folder)) {
          this.#listener.unreadable(failure.folder, failure.error)
        }
        // A file that cannot be checked is not gone.
        return { source, files: [...new Set([...files, ...this.#filesBefore(source)])] }
      }),
    )
    this.#unreadable = unreadable
    return found
  }

  #filesBefore(source: WatchSource): readonly string[] {
    return (
      this.#found.find((before) => isDeepStrictEqual(before.source.where, source.where))?.files ??
      []
    )
  }

  #resolve(found: readonly SourceFiles[]): ResolvedDatabases {
    return resolveDatabases(found, this.#cwd, (path) => this.#fleet.isRunning(path))
  }

  #put(found: readonly SourceFiles[], resolved: ResolvedDatabases): FleetChanges {
    this.#found = found
    this.#tellRefused(resolved.refused)
    return this.#fleet.setWanted(resolved, this.#plan.shutdownTimeoutMs)
  }

  #tellRefused(refused: readonly Omit<RefusedFile, 'kind'>[]): void {
    const before = this.#refused
    this.#refused = new Set(refused.map(({ reason }) => reason))
    for (const { path, reason } of refused) {
      if (!before.has(reason)) this.#listener.refused(path, reason)
    }
  }
}

function sameFiles(a: readonly SourceFiles[], b: readonly SourceFiles[]): boolean {
  if (a.length !== b.length) return false
  return a.every(({ source, files }, i) => {
    const other = b[i]
    if (other === undefined || source !== other.source) return false
    return files.length === other.files.length && files.every((path, j) => path === other.files[j])
  })
}
