import { type FSWatcher, watch } from 'node:fs'

/**
 * File events of one WAL while its database is quiet. A busy database needs none: arm it when
 * nothing is left to read, and look once more after arming, for a commit may have come before.
 */
export class WalWatcher {
  readonly #path: string
  readonly #onChange: () => void
  #watcher: FSWatcher | undefined

  constructor(walPath: string, onChange: () => void) {
    this.#path = walPath
    this.#onChange = onChange
  }

  get isArmed(): boolean {
    return this.#watcher !== undefined
  }

  /** False where events are not to be had (no WAL file yet, or the system's limit of watches): polling goes on alone. */
  arm(): boolean {
    if (this.#watcher !== undefined) return true
    try {
      const watcher = watch(this.#path, { persistent: false }, () => {
        this.disarm()
        this.#onChange()
      })
      watcher.on('error', () => this.disarm())
      this.#watcher = watcher
      return true
    } catch {
      return false
    }
  }

  disarm(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }
}
