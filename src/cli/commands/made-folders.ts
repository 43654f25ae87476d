import { existsSync } from 'node:fs'
import { chown, mkdir, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDir } from '../../core/fs/index.ts'
import { type OutputAccess, writeError } from '../../core/restore/output-file.ts'

/** The folders that a restore of many databases makes, and removes if nothing came into them. */
export class MadeFolders {
  readonly #owner: OutputAccess['owner']
  readonly #made = new Set<string>()

  /** @param owner of new folders, because SQLite makes files next to a database; default: ourselves */
  constructor(owner: OutputAccess['owner']) {
    this.#owner = owner
  }

  /**
   * Makes a folder and its missing parents, and flushes the parent of each.
   *
   * @throws RestoreError `NoSpace`, `NotWritable`, `WriteFailed`
   */
  async make(folder: string): Promise<void> {
    const missing: string[] = []
    for (let at = folder; !existsSync(at); at = dirname(at)) missing.push(at)
    try {
      for (const at of missing.toReversed()) {
        await mkdir(at, { recursive: true })
        this.#made.add(at)
        if (this.#owner !== undefined) await chown(at, this.#owner.uid, this.#owner.gid)
        await syncDir(dirname(at))
      }
    } catch (cause) {
      throw writeError(folder, cause)
    }
  }

  /** Removes those that are empty, the inner ones first. */
  async removeEmpty(): Promise<void> {
    const innerFirst = [...this.#made].toSorted((a, b) => b.length - a.length)
    for (const folder of innerFirst) await rmdir(folder).catch(() => undefined)
  }
}
