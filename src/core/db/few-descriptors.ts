import { closeSync, openSync, readFileSync } from 'node:fs'
import { DatabaseError } from './database-error.ts'

/**
 * Descriptors that one open database uses: its file, and for each of three connections the file,
 * `-wal` and `-shm`.
 */
const DESCRIPTORS_EACH = 10
/** Read early: later there may be no descriptor left to read it with. */
const LIMIT = limitOfProcess()

/**
 * The error for a file that could not be opened because descriptors ran out; `undefined` for any
 * other cause.
 */
export function fewDescriptors(path: string, cause: unknown): DatabaseError | undefined {
  const { code } = cause as NodeJS.ErrnoException
  if (code !== 'EMFILE' && code !== 'ENFILE') return undefined
  const whose = code === 'EMFILE' ? 'this process' : 'this machine'
  const limit = code === 'EMFILE' ? LIMIT : undefined
  const most = limit === undefined ? '' : `, ${limit} at most`
  return new DatabaseError(
    'Unreadable',
    path,
    `${path} cannot be opened: ${whose} has as many files open as it may (${code}${most}).`,
    {
      cause,
      hint: `Raise the limit (ulimit -n, LimitNOFILE= of systemd, ulimits of a container): about ${DESCRIPTORS_EACH} for each database that is open at one time, and 100 for the rest.`,
    },
  )
}

/**
 * The same for an error from SQLite, which does not say why a file could not be opened: checks
 * whether descriptors are scarce now.
 */
export function scarceDescriptors(path: string): DatabaseError | undefined {
  const opened: number[] = []
  try {
    while (opened.length < DESCRIPTORS_EACH) opened.push(openSync('/dev/null', 'r'))
    return undefined
  } catch (cause) {
    return fewDescriptors(path, cause)
  } finally {
    for (const fd of opened) closeSync(fd)
  }
}

function limitOfProcess(): string | undefined {
  try {
    return /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  } catch {
    // No /proc here.
    return undefined
  }
}
