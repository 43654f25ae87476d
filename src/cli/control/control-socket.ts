import { chmodSync, existsSync, lstatSync, unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { askStatus } from '../status/ask-status.ts'
import { assertSocketPath, prepareRunFolder, runFolder, socketIn } from '../status/run-folder.ts'
import { statusDocument } from '../status/status-document.ts'
import { parentLink } from '../watch/parent-link.ts'
import type { WatchRun } from '../watch/watch-run.ts'
import { ControlMethods, type ControlTarget } from './control-methods.ts'
import { serveControl } from './control-session.ts'

/** Where `walsync status`, `walsync sync` and other programs talk to this process. */
export interface ControlSocket {
  close(): Promise<void>
}

/** How long a client may take to read what it was answered when the watcher ends, in milliseconds. */
const CLOSE_MS = 500
/** Other processes of the same pid in one run folder: containers that share it. */
const MAX_NAMESAKES = 100

/**
 * Opens the socket of this watcher (docs/control-protocol.md). Only its owner can connect. A socket
 * that cannot be opened is a warning: replication does not depend on it.
 *
 * @throws UsageError for a path of the user's that cannot be a socket
 */
export async function openControlSocket(
  run: WatchRun,
  context: CommandContext,
): Promise<ControlSocket> {
  const { socket } = run.plan
  const methods = new ControlMethods(controlTarget(run, context.version))
  const parent = parentLink(context.env)
  if (parent !== undefined) serveControl(parent, methods)
  if (socket === false) return { close: async () => undefined }
  if (socket !== undefined) assertSocketPath(socket)
  const clients = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (client) => {
    clients.add(client)
    client.on('close', () => clients.delete(client))
    serveControl(client, methods)
  })
  try {
    const path = socket ?? (await freePath(context))
    await removeStale(path, context.signal)
    await listen(server, path)
    context.logger.debug({ socket: path }, 'control socket opened')
    server.on('error', (error) =>
      context.logger.warn(`The control socket failed: ${error.message}`),
    )
    return { close: () => close(server, clients) }
  } catch (error) {
    if (error instanceof UsageError && socket !== undefined) throw error
    const { message } = error as Error
    context.logger.warn(`walsync status cannot ask this process: ${message}`)
    return { close: async () => undefined }
  }
}

/** @param walsync version of the package */
export function controlTarget(run: WatchRun, walsync: string): ControlTarget {
  const startedAt = new Date(Date.now() - process.uptime() * 1000)
  return {
    databases: () => run.fleet.status(),
    document: (databases) => {
      const { config, shutdownTimeoutMs } = run.plan
      const parts = { walsync, startedAt, config: config?.path, shutdownTimeoutMs, databases }
      return statusDocument(parts, new Date())
    },
    sync: (name, request) => run.fleet.sync(name, request),
    onEvent: (listener) => run.onEvent(listener),
  }
}

async function freePath({ env, signal }: CommandContext): Promise<string> {
  const folder = runFolder(env)
  prepareRunFolder(folder)
  for (let i = 0; i < MAX_NAMESAKES; i++) {
    const path = socketIn(folder, process.pid, i === 0 ? '' : `-${i}`)
    assertSocketPath(path)
    if ((await askStatus(path, signal)).kind === 'nobody') return path
  }
  throw new Error(`${folder} is full of sockets of process ${process.pid}`)
}

/** A killed process leaves its socket behind. @throws UsageError if something else stands there, or answers */
async function removeStale(path: string, signal: AbortSignal): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (process.platform === 'win32' || stat === undefined) return
  const isOurs = stat.isSocket() && (await askStatus(path, signal)).kind === 'nobody'
  if (isOurs) return unlinkSync(path)
  const what = stat.isSocket() ? 'is the socket of another process' : 'exists and is not a socket'
  throw new UsageError(`${path} ${what}.`, 'Give --socket another path, or leave it out.')
}

/** Bound within this turn of the event loop, so that the mask covers it and nothing else. */
async function listen(server: Server, path: string): Promise<void> {
  // Node reports a missing folder as EACCES.
  if (process.platform !== 'win32' && !existsSync(dirname(path))) {
    throw new Error(`the folder ${dirname(path)} of its socket does not exist`)
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  const before = process.umask(0o177)
  try {
    server.listen(path, resolve)
  } finally {
    process.umask(before)
  }
  await promise
  server.off('error', reject)
  if (process.platform !== 'win32') chmodSync(path, 0o600)
}

/** What was answered is sent; a client that does not read it is not waited for. */
function close(server: Server, clients: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    for (const client of clients) client.destroySoon()
    setTimeout(() => {
      for (const client of clients) client.destroy()
    }, CLOSE_MS).unref()
  })
}
