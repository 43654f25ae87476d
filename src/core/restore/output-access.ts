import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { tempName } from '../fs/index.ts'

/** Who may use a restored file. */
export interface OutputAccess {
  /** Permission bits. Default: those of the file that is replaced; for a new one what the folder and the umask give. */
  readonly mode?: number | undefined
  /** Default: as the file that is replaced; for a new one ourselves. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
}

const PERMISSION_BITS = 0o777

/**
 * Gives a staged file, which is its owner's alone, the owner and mode that it is to have under its
 * name. The owner first: a mode for the wrong owner would open it to others.
 *
 * @param before the file that is replaced
 * @returns what could not be kept, in words
 * @throws the file system's error if an owner or mode that was asked for cannot be given
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
    // What its group could do is not meant for another group.
    if (mode === undefined && gid !== before.gid) bits = before.mode & ~0o070
  }
  await handle.chmod((bits ?? (await usualMode(dirname(staged)))) & PERMISSION_BITS)
  return warnings
}

/** Only root can give a file to another owner; a group of our own can always be given. */
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

/** What a new file here gets: by the umask, by the folder's default ACL, by the file system. Found out by making one. */
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
