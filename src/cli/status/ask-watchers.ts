import { lstatSync, readdirSync, rmSync } from 'node:fs'
import { UsageError } from '../args/usage-error.ts'
import { askStatus } from './ask-status.ts'
import { folderProblem, PIPES, pidOf, socketPath } from './run-folder.ts'
import type { StatusDocument } from './status-document.ts'

/** What the watchers of a run folder say. */
export interface WatcherAnswers {
  readonly watchers: readonly StatusDocument[]
  /** Sockets behind which something is that does not answer as it should. */
  readonly failures: readonly { readonly socket: string; readonly error: string }[]
}

/** Asks the watcher at one socket; nothing if nobody listens there. */
export async function askWatcher(socket: string, signal: AbortSignal): Promise<WatcherAnswers> {
  const answer = await askStatus(socket, signal)
  if (answer.kind === 'nobody') return { watchers: [], failures: [] }
  if (answer.kind === 'answer') return { watchers: [answer.document], failures: [] }
  return { watchers: [], failures: [{ socket, error: answer.error.message }] }
}

/**
 * Asks all watchers of a run folder at once. Sockets of processes that are gone are removed on the way.
 *
 * @throws UsageError for a folder whose sockets cannot be trusted
 */
export async function askWatchers(folder: string, signal: AbortSignal): Promise<WatcherAnswers> {
  const answers = await Promise.all(
    socketsIn(folder).map(async ({ pid, socket }) => {
      const answer = await askWatcher(socket, signal)
      const isNobody = answer.watchers.length === 0 && answer.failures.length === 0
      if (isNobody && folder !== PIPES && !isAlive(pid)) rmSync(socket, { force: true })
      return answer
    }),
  )
  const watchers = answers.flatMap((answer) => answer.watchers)
  return {
    watchers: watchers.sort((a, b) => a.pid - b.pid),
    failures: answers.flatMap(({ failures }) => failures),
  }
}

/**
 * The sockets of a run folder, also of processes that are gone.
 *
 * @throws UsageError for a folder whose sockets cannot be trusted
 */
export function socketsIn(folder: string): { readonly pid: number; readonly socket: string }[] {
  return namesIn(folder).flatMap((name) => {
    const pid = pidOf(folder, name)
    return pid === undefined ? [] : [{ pid, socket: socketPath(folder, name) }]
  })
}

function namesIn(folder: string): string[] {
  if (folder !== PIPES) {
    const stat = lstatSync(folder, { throwIfNoEntry: false })
    if (stat === undefined) return []
    const problem = folderProblem(folder, stat, true)
    if (problem !== undefined)
      throw new UsageError(
        `${problem}.`,
        'Set WALSYNC_RUN_DIR to a folder of your own, or remove that one.',
      )
  }
  return readdirSync(folder)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
