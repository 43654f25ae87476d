import { readFileSync, statSync } from 'node:fs'

/** Device and inode of the file at `path`; `undefined` if there is none or it is not accessible. */
export function identityAt(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path)
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}

/**
 * Is this file itself a mount point, as with `docker run -v app.db:/data/app.db`? Always false on
 * systems without `/proc/self/mountinfo` (proc(5), field 5, octal escapes).
 *
 * @param path absolute, with links resolved
 */
export function isMountPoint(path: string): boolean {
  let mounts: string
  try {
    mounts = readFileSync('/proc/self/mountinfo', 'utf8')
  } catch {
    return false
  }
  return mounts.split('\n').some((line) => decodeOctal(line.split(' ')[4] ?? '') === path)
}

function decodeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}
