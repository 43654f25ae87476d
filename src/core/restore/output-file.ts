import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, link, lstat, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isStaleTemp, syncDir, tempName } from '../fs/index.ts'
import { RestoreError } from './restore-error.ts'

/**
 * Files that SQLite reads together with a database of this name. A stale one is fatal: SQLite
 * silently replays an old WAL into a new database. `-shm` comes first because only that file can
 * always be recreated.
 */
const SIDECARS = ['-shm', '-wal', '-journal'] as const

/**
 * Refuses a target that a restore may not write to.
 *
 * @throws RestoreError `TargetExists` and `StaleSidecar` without `force`; `NotAFile` for a link,
 *   folder or device, even with `force`; `ParentMissing`
 */
export async function checkOutput(output: string, force: Force): Promise<void> {
  if (basename(output) === '' || output.endsWith('/') || output.includes('\0')) {
    throw new RestoreError('NotAFile', `${JSON.stringify(output)} is not a file name.`, {
      path: output,
    })
  }
  const parent = dirname(output)
  const folder = await stat(parent).catch(() => undefined)
  if (!folder?.isDirectory()) {
    const what =
      folder === undefined ? `The folder ${parent} does not exist.` : `${parent} is not a folder.`
    throw new RestoreError('ParentMissing', what, {
      path: parent,
      hint: 'Create it first, or choose another output.',
    })
  }
  const target = await entryAt(output)
  if (target !== undefined && !target.isFile()) throw notAFile(output)
  const isReplaced = force === true || (force === 'empty' && target?.size === 0)
  if (target !== undefined && !isReplaced) throw targetExists(output)
  for (const suffix of SIDECARS) {
    const sidecar = await entryAt(output + suffix)
    if (sidecar?.isDirectory()) throw notAFile(output + suffix)
    if (sidecar !== undefined && force !== true) throw staleSidecar(output + suffix)
  }
}

/**
 * Whether there is a file at the output already, also behind a link.
 *
 * @throws RestoreError `NotAFile` for anything else that is there, such as the folder that a
 *   container makes for a mount without a source
 */
export async function outputExists(output: string): Promise<boolean> {
  const target = await stat(output).catch(() => undefined)
  if (target !== undefined && !target.isFile()) throw notAFile(output)
  return target !== undefined
}

/**
 * What a restore may replace at the target: nothing, an empty file, or any file and its sidecars.
 */
export type Force = boolean | 'empty'

/** A file with a random name next to the target, readable only by its owner. */
export interface StagedFile {
  readonly path: string
  readonly handle: FileHandle
  /** Inode of this file: another file may have its name by the time it is moved into place. */
  readonly ino: number
}

export interface InstallOptions extends OutputAccess {
  readonly force: Force
}

/**
 * Creates the file that a restore writes to, after it has removed what killed restores left in the
 * folder.
 *
 * @throws RestoreError `NoSpace`, `NotWritable`, `WriteFailed`
 */
export async function stageOutput(output: string): Promise<StagedFile> {
  await sweepStaged(dirname(output))
  const path = join(dirname(output), tempName())
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  try {
    const handle = await open(path, flags, 0o600)
    return { path, handle, ino: (await handle.stat()).ino }
  } catch (cause) {
    throw writeError(output, cause)
  }
}

/**
 * Closes and removes a staged file if it still exists. Best effort, since the restore already has
 * its error or result by then: the next restore into the folder removes a leftover.
 */
export async function discardStaged(staged: StagedFile): Promise<void> {
  await staged.handle.close().catch(() => {})
  await unlink(staged.path).catch(() => {})
}

/**
 * Gives the staged file the owner and mode of the target that it replaces, or those requested, and
 * then the target's name. Without `force` this uses link(2), which fails if the name was taken in
 * the meantime. With `force`, stale sidecars are moved aside, then the target is replaced, then the
 * sidecars are deleted: the new database never meets an old WAL, and a crash in between leaves the
 * old database and its sidecars, under names that end in `.before-restore`.
 *
 * @returns what could not be preserved of the target's owner and mode
 * @throws RestoreError `TargetExists`, `StaleSidecar`, `NoSpace`, `NotWritable`, `WriteFailed`
 */
export async function installOutput(
  staged: StagedFile,
  output: string,
  { force, ...access }: InstallOptions,
): Promise<string[]> {
  await checkOutput(output, force)
  let warnings: string[]
  const aside = force === true ? await moveSidecarsAside(output) : []
  try {
    warnings = await openUp(staged, output, access)
    if (aside.length > 0) await syncDir(dirname(output))
    if (force === 'empty') await removeEmpty(output)
    if (force === true) await rename(staged.path, output)
    else await linkNew(staged.path, output)
  } catch (cause) {
    await moveBack(aside)
    throw cause instanceof RestoreError ? cause : writeError(output, cause)
  }
  try {
    await syncDir(dirname(output))
    for (const { to } of aside) await unlink(to)
  } catch (cause) {
    const message = `The database was restored to ${output}, but its folder could not be flushed or cleaned: ${text(cause)}.`
    throw new RestoreError('WriteFailed', message, { path: output, cause })
  }
  return warnings
}

async function openUp(
  { path, ino }: StagedFile,
  output: string,
  access: OutputAccess,
): Promise<string[]> {
  const before = await entryAt(output)
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      if ((await handle.stat()).ino !== ino) throw new Error(`${path} was replaced in the meantime`)
      const warnings = await giveAccess(handle, path, before, access)
      await handle.sync()
      return warnings
    } finally {
      await handle.close()
    }
  } catch (cause) {
    throw writeError(output, cause)
  }
}

/** The file system's error with a hint about what to do. */
export function writeError(output: string, cause: unknown): RestoreError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? ''
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new RestoreError('NoSpace', `There is no space for ${output}: ${text(cause)}.`, {
      path: output,
      cause,
      hint: 'Free space in the folder of the output, where the database is staged, or choose another output.',
    })
  }
  const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
  const message = `The output ${output} cannot be written: ${text(cause)}.`
  return new RestoreError(denied ? 'NotWritable' : 'WriteFailed', message, {
    path: output,
    cause,
    hint: denied
      ? 'Check the permissions of the folder; only root can give a file to another owner.'
      : undefined,
  })
}

interface Moved {
  readonly from: string
  readonly to: string
}

async function moveSidecarsAside(output: string): Promise<Moved[]> {
  const moved: Moved[] = []
  const mark = randomBytes(4).toString('hex')
  try {
    for (const suffix of SIDECARS) {
      const from = output + suffix
      if ((await entryAt(from)) === undefined) continue
      const to = `${from}.${mark}.before-restore`
      await rename(from, to)
      moved.push({ from, to })
    }
  } catch (cause) {
    await moveBack(moved)
    throw writeError(output, cause)
  }
  return moved
}

async function moveBack(moved: readonly Moved[]): Promise<void> {
  for (const { from, to } of moved.toReversed()) {
    try {
      await rename(to, from)
    } catch (cause) {
      const message = `The restore failed, and ${to} could not be renamed back to ${from}: ${text(cause)}.`
      const hint = 'Rename it manually before the old database is opened.'
      throw new RestoreError('WriteFailed', message, { path: to, cause, hint })
    }
  }
}

/** The name is then taken by link(2), which fails if the file is created again in between. */
async function removeEmpty(output: string): Promise<void> {
  const target = await entryAt(output)
  if (target === undefined) return
  if (target.size > 0) throw targetExists(output)
  await unlink(output)
}

async function linkNew(staged: string, output: string): Promise<void> {
  try {
    await link(staged, output)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EEXIST') throw targetExists(output)
    // Hard links are not available here (FAT, some network shares), so the check above has to do.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') {
      throw cause
    }
    await rename(staged, output)
    return
  }
  await unlink(staged)
}

/** Best effort: a file that cannot be removed does not prevent a restore. */
async function sweepStaged(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names) {
    if (!name.startsWith('.walsync-')) continue
    const path = join(folder, name)
    const entry = await entryAt(path)
    if (entry?.isFile() && isStaleTemp(name, entry.ctimeMs)) await unlink(path).catch(() => {})
  }
}

async function entryAt(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw writeError(path, cause)
  }
}

function targetExists(output: string): RestoreError {
  return new RestoreError('TargetExists', `The output ${output} already exists.`, {
    path: output,
    hint: 'Choose another output, or stop the programs that use it and add --force to replace it.',
  })
}

function staleSidecar(path: string): RestoreError {
  const message = `The file ${path} was left by another database, and SQLite would replay it into the restored one.`
  return new RestoreError('StaleSidecar', message, {
    path,
    hint: 'Choose another output, or add --force to remove it.',
  })
}

function notAFile(path: string): RestoreError {
  return new RestoreError('NotAFile', `${path} is not a regular file.`, {
    path,
    hint: 'Choose another output: links, folders and devices are never replaced.',
  })
}

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** Owner and permissions of a restored file. */
export interface OutputAccess {
  /**
   * Permission bits. Default: those of the replaced file; for a new file according to the folder
   * and the umask.
   */
  readonly mode?: number | undefined
  /** Default: the owner of the replaced file; for a new file, this process's user. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
}

const PERMISSION_BITS = 0o777

/**
 * Gives a staged file, which only its owner can access, its final owner and mode. The owner is set
 * first, because the mode would otherwise give the wrong owner access.
 *
 * @param before the replaced file
 * @returns descriptions of what could not be preserved
 * @throws the file system's error if a requested owner or mode cannot be set
 */
export async function giveAccess(
  handle: FileHandle,
  staged: string,
  before: Stats | undefined,
  { mode, owner }: OutputAccess,
): Promise<string[]> {
  const warnings: string[] = []
  let bits = mode ?? before?.mode
  if (owner !== undefined) await handle.chown(owner.uid, owner.gid)
  else if (before !== undefined && !(await keepOwner(handle, before))) {
    const { uid, gid } = await handle.stat()
    const rights = `${before.uid}:${before.gid} (it is ${uid}:${gid} now)`
    warnings.push(`the owner of the replaced file could not be kept: ${rights}`)
    // The permissions of its group are not meant for another group.
    if (mode === undefined && gid !== before.gid) bits = before.mode & ~0o070
  }
  await handle.chmod((bits ?? (await usualMode(dirname(staged)))) & PERMISSION_BITS)
  return warnings
}

/**
 * Only root can change the owner of a file; it can always be given to one of the user's own groups.
 */
async function keepOwner(handle: FileHandle, { uid, gid }: Stats): Promise<boolean> {
  const now = await handle.stat()
  if (now.uid === uid && now.gid === gid) return true
  try {
    await handle.chown(uid, gid)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EPERM' && code !== 'EINVAL' && code !== 'ENOSYS' && code !== 'ENOTSUP')
      throw error
    await handle.chown(now.uid, gid).catch(() => undefined)
    return false
  }
}

/**
 * Owner and mode of a new file here, by the umask, the folder's default ACL and the file system.
 * Determined by creating one.
 */
async function usualMode(folder: string): Promise<number> {
  const probe = join(folder, tempName())
  const handle = await open(probe, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o666)
  try {
    return (await handle.stat()).mode
  } finally {
    await handle.close()
    await unlink(probe)
  }
}
