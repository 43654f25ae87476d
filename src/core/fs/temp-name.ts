import { hostname } from 'node:os'

const NAME = /^\.walsync-([0-9a-f]{8})-(\d+)-[0-9a-f]{16}\.tmp$/
const DAY_MS = 24 * 60 * 60 * 1000
let knownHost: string | undefined

/** A new name for a staged file. Its length does not depend on the target's, and it tells who made it. */
export function tempName(): string {
  const random = nodeCrypto().randomBytes(8).toString('hex')
  return `.walsync-${host()}-${process.pid}-${random}.tmp`
}

/**
 * Is a file of this name left behind by a writer that is gone? True if that process of this machine
 * no longer runs, or after a day without a change, which also covers other machines on a shared
 * folder. Names that `tempName` did not make are never stale.
 *
 * @param changedMs the file's ctime, which unlike mtime nobody can set back
 */
export function isStaleTemp(name: string, changedMs: number, nowMs: number = Date.now()): boolean {
  const match = NAME.exec(name)
  if (match === null) return false
  if (nowMs - changedMs > DAY_MS) return true
  if (match[1] !== host()) return false
  const pid = Number(match[2])
  // In a container each run has the same pid: what is older than this process is not its own.
  if (pid === process.pid) return changedMs < nowMs - process.uptime() * 1000
  return !isRunning(pid)
}

function host(): string {
  knownHost ??= nodeCrypto().createHash('sha256').update(hostname()).digest('hex').slice(0, 8)
  return knownHost
}

/** Loaded when it is needed: `list` needs no name, and Node takes 6 ms to load it. */
function nodeCrypto() {
  return process.getBuiltinModule('node:crypto')
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
