import { Socket } from 'node:net'

/** Number of a file descriptor, set by the library for the process that it starts. */
const PARENT_FD = 'WALSYNC_PARENT_FD'

let link: Socket | undefined

/**
 * The pipe to the program that runs walsync as a library. When it closes, because that program asks
 * for it or has ended in any way, this process ends as on SIGTERM.
 *
 * @returns `undefined` if walsync is not run in that way
 */
export function parentLink(env: Readonly<Record<string, string | undefined>>): Socket | undefined {
  const fd = env[PARENT_FD]
  if (link !== undefined || fd === undefined) return link
  link = new Socket({ fd: Number(fd), allowHalfOpen: true })
  let isOver = false
  const end = () => {
    if (!isOver) process.emit('SIGTERM', 'SIGTERM')
    isOver = true
  }
  link.on('end', end).on('close', end).on('error', end)
  link.resume()
  link.unref()
  return link
}
