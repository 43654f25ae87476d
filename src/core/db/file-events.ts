import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'

/**
 * File events for many databases with one watch per folder. Events are matched by name, so a file
 * need not exist yet.
 */
export class FolderWatch {
  readonly #folders = new Map<string, Folder>()

  /**
   * Calls `onEvent` for every event of the database or its WAL until the returned function is
   * called. `undefined` if events are not available: the caller has to poll.
   */
  subscribe(path: string, onEvent: () => void): (() => void) | undefined {
    const name = dirname(path)
    const folder = this.#folders.get(name) ?? this.#open(name)
    if (folder === undefined) return undefined
    const file = basename(path)
    folder.listeners.set(file, onEvent)
    return () => {
      if (folder.listeners.get(file) !== onEvent) return
      folder.listeners.delete(file)
      if (folder.listeners.size === 0) this.#close(name, folder)
    }
  }

  #open(name: string): Folder | undefined {
    try {
      const listeners = new Map<string, () => void>()
      const watcher = watch(name, { persistent: false }, (_, file) => {
        if (file === null) for (const onEvent of [...listeners.values()]) onEvent()
        else listeners.get(file.endsWith('-wal') ? file.slice(0, -4) : file)?.()
      })
      const folder = { watcher, listeners }
      watcher.on('error', () => {
        this.#close(name, folder)
        for (const onEvent of [...listeners.values()]) onEvent()
      })
      this.#folders.set(name, folder)
      return folder
    } catch {
      return undefined
    }
  }

  #close(name: string, folder: Folder): void {
    folder.watcher.close()
    if (this.#folders.get(name) === folder) this.#folders.delete(name)
  }
}

interface Folder {
  readonly watcher: FSWatcher
  readonly listeners: Map<string, () => void>
}

/**
 * File events of one WAL while its database is quiet. A busy database needs none: arm the watch
 * when there is nothing left to read, and check once more after arming it, because a commit may
 * have come in between.
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

  /**
   * False if events are not available (no WAL file yet, or too many watches on the system): polling
   * continues on its own.
   */
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
