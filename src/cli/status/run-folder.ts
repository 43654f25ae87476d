import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, type Stats } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { UsageError } from '../args/usage-error.ts'

/** Longest path of a unix socket in bytes: 108 with the closing zero on Linux, 104 elsewhere (unix(7)). */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103

/** Named pipes have no folders; what stands behind this prefix is ours. */
export const PIPES = '\\\\.\\pipe\\'

/**
 * Where the watchers of this user have their sockets: `$WALSYNC_RUN_DIR`, else `walsync` in
 * `$XDG_RUNTIME_DIR`, else a folder for this user in the temporary one.
 */
export function runFolder(env: Readonly<Record<string, string | undefined>>): string {
  if (env.WALSYNC_RUN_DIR) return env.WALSYNC_RUN_DIR
  if (process.platform === 'win32') return PIPES
  if (env.XDG_RUNTIME_DIR) return join(env.XDG_RUNTIME_DIR, 'walsync')
  return join(tmpdir(), `walsync-${userInfo().uid}`)
}

/**
 * The socket of this process in a run folder.
 *
 * @param other more than one process has this pid: they run in different containers
 */
export function socketIn(folder: string, pid: number, other = ''): string {
  return folder === PIPES ? `${pipePrefix()}${pid}${other}` : join(folder, `${pid}${other}.sock`)
}

/** The path of a name in a run folder. */
export function socketPath(folder: string, name: string): string {
  return folder === PIPES ? `${PIPES}${name}` : join(folder, name)
}

/** What a name in a run folder stands for: the pid of a watcher, or nothing of ours. */
export function pidOf(folder: string, name: string): number | undefined {
  const pattern = folder === PIPES ? /^(\d+)(?:-\d+)?$/ : /^(\d+)(?:-\d+)?\.sock$/
  const prefix = folder === PIPES ? pipePrefix().slice(PIPES.length) : ''
  const match = name.startsWith(prefix) ? pattern.exec(name.slice(prefix.length)) : null
  return match === null ? undefined : Number(match[1])
}

/** Makes the folder if need be, for its owner alone. @throws Error if it cannot be trusted */
export function prepareRunFolder(folder: string): void {
  if (folder === PIPES) return
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const problem = folderProblem(folder, lstatSync(folder))
  if (problem !== undefined) throw new Error(problem)
}

/**
 * Why sockets in this folder may not be what they seem; root may look into anyone's.
 *
 * @param isReader does not put anything into it
 */
export function folderProblem(folder: string, stat: Stats, isReader = false): string | undefined {
  const own = process.getuid?.()
  if (!stat.isDirectory()) return `${folder} is no folder`
  if (own === undefined) return undefined
  if (stat.uid !== own && !(isReader && own === 0)) return `${folder} belongs to another user`
  return (stat.mode & 0o022) === 0
    ? undefined
    : `${folder} can be written by other users (chmod 700)`
}

/** @throws UsageError for a path that the system would cut off */
export function assertSocketPath(path: string): void {
  if (path.startsWith(PIPES) || Buffer.byteLength(path) <= MAX_SOCKET_PATH) return
  throw new UsageError(
    `The socket path ${path} is longer than the ${MAX_SOCKET_PATH} bytes that a socket may have.`,
    'Give a shorter one: --socket PATH, or a shorter WALSYNC_RUN_DIR.',
  )
}

/** Every user of a machine sees all pipes, so that their names tell the users apart. */
function pipePrefix(): string {
  const { username } = userInfo()
  return `${PIPES}walsync-${createHash('sha256').update(username).digest('hex').slice(0, 16)}-`
}
