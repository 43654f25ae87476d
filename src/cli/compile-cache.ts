import { existsSync, mkdirSync, statSync } from 'node:fs'
import { enableCompileCache, getCompileCacheDir } from 'node:module'
import { isAbsolute, join } from 'node:path'

/**
 * Lets Node keep what it compiles of walsync in `~/.cache/walsync`, or in `walsync` below
 * `XDG_CACHE_HOME`, so that the next start is faster. Node's own variables have precedence:
 * `NODE_COMPILE_CACHE` names another folder, `NODE_DISABLE_COMPILE_CACHE=1` turns it off.
 *
 * If there is no such folder, or it cannot be written, walsync starts without the cache. Node's default, a
 * folder in `/tmp`, is not used: another user could put code there first.
 */
export function keepCompiled(env: Readonly<Record<string, string | undefined>>): void {
  const { HOME = '', XDG_CACHE_HOME = '', NODE_DISABLE_COMPILE_CACHE } = env
  if (NODE_DISABLE_COMPILE_CACHE !== undefined || getCompileCacheDir() !== undefined) return
  const folder = makeIn(XDG_CACHE_HOME, 'walsync') ?? makeIn(HOME, '.cache', 'walsync')
  if (folder !== undefined) enableCompileCache(folder)
}

/**
 * Makes a folder in one that is ours: under sudo, a home may be that of a user who must not give code
 * to root. One level at a time, because Node's own `mkdir -p` never returns in `/proc` (24.21).
 *
 * @returns undefined if it cannot be made, or if somebody else could put code there
 */
function makeIn(base: string, ...names: readonly string[]): string | undefined {
  let folder = base
  try {
    if (!isAbsolute(base) || !isOurs(base)) return undefined
    for (const name of names) {
      folder = join(folder, name)
      if (!existsSync(folder)) mkdirSync(folder, 0o700)
      if (!isOurs(folder)) return undefined
    }
    return isForAll(folder) ? undefined : folder
  } catch {
    return undefined
  }
}

/** Can nobody else replace what is ours in it? In a folder such as `/tmp`, which has the sticky bit, nobody can. */
function isOurs(folder: string): boolean {
  const { uid, mode } = statSync(folder)
  return uid === process.getuid?.() && (!isForAll(folder) || (mode & STICKY) !== 0)
}

/** May others make files in it? */
function isForAll(folder: string): boolean {
  return (statSync(folder).mode & WRITABLE_BY_OTHERS) !== 0
}

const STICKY = 0o1000
/** By the group as well: who is in it is not known here. */
const WRITABLE_BY_OTHERS = 0o022
