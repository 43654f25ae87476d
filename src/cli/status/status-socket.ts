import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { jsonLine } from '../output/json-line.ts'
import type { WatchRun } from '../watch/watch-run.ts'
import { askStatus } from './ask-status.ts'
import { assertSocketPath, prepareRunFolder, runFolder, socketIn } from './run-folder.ts'
import { statusDocument } from './status-document.ts'

/** Where `walsync status` asks this process. */
export interface StatusSocket {
  close(): Promise<void>
}

/** A client that does not read is let go after this, in milliseconds. */
const CLIENT_MS = 5000
/** Other processes of the same pid in one run folder: containers that share it. */
const MAX_NAMESAKES = 100

/**
 * Opens the socket on which this watcher tells what it is doing: whoever connects gets one JSON
 * document. Only its owner can connect. A socket that cannot be opened is a warning: replication
 * does not depend on it.
 *
 * @throws UsageError for a path of the user's that cannot be a socket
 */
export async function openStatusSocket(
  run: WatchRun,
  context: CommandContext,
): Promise<StatusSocket> {
  const { socket, config } = run.plan
  if (socket === false) return { close: async () => undefined }
  if (socket !== undefined) assertSocketPath(socket)
  const startedAt = new Date(Date.now() - process.uptime() * 1000)
  const clients = new Set<Socket>()
  const answer = (client: Socket): void => {
    clients.add(client)
    client.on('close', () => clients.delete(client))
    // The client may be gone again: nobody is left to tell.
    client.on('error', () => client.destroy())
    client.setTimeout(CLIENT_MS, () => client.destroy())
    const databases = run.fleet.status()
    const parts = { walsync: context.version, startedAt, config: config?.path, databases }
    client.end(jsonLine(statusDocument(parts, new Date())))
  }
  const server = createServer(answer)
  try {
    const path = socket ?? (await freePath(context))
    await removeStale(path, context.signal)
    await listen(server, path)
    context.logger.debug({ socket: path }, 'status socket opened')
    server.on('error', (error) => context.logger.warn(`the status socket failed: ${error.message}`))
    return { close: () => close(server, clients) }
  } catch (error) {
    if (error instanceof UsageError && socket !== undefined) throw error
    const { message } = error as Error
    context.logger.warn(`walsync status cannot ask this process: ${message}`)
    return { close: async () => undefined }
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
  const what = stat.isSocket() ? 'is the socket of another process' : 'exists and is no socket'
  throw new UsageError(`${path} ${what}.`, 'give --socket another path, or leave it out')
}

/** Bound within this turn of the event loop, so that the mask covers it and nothing else. */
async function listen(server: Server, path: string): Promise<void> {
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

/** A client that has not read yet is not waited for. */
function close(server: Server, clients: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    for (const client of clients) client.destroy()
  })
}
