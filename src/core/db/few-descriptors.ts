import { closeSync, openSync, readFileSync } from 'node:fs'
import { DatabaseError } from './database-error.ts'

/** What one database takes while it is open: its file, and file, `-wal` and `-shm` of each of three connections. */
const DESCRIPTORS_EACH = 10
/** Read now: later no descriptor may be left to read it with. */
const LIMIT = limitOfProcess()

/** The error for a file that was not opened for want of descriptors; nothing for another cause. */
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

/** The same for an error of SQLite, which does not say why a file could not be opened: are descriptors scarce now? */
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
