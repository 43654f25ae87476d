import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { UsageError } from '../args/usage-error.ts'
import { groupExists, isGroupAlive, signalGroup } from './process-group.ts'

/** The application that `watch` runs beside the replication: a process group of its own. */
export interface ChildApp {
  /** The code to exit with: the command's own, or 128 + the signal that ended it. */
  readonly ended: Promise<number>
  /**
   * Resolves when nothing of its process group is left: with `npm start` and `sh -c` the command
   * itself may end before what it has started.
   *
   * @param asked the application has been asked to end. From then on, and once the command itself
   *   has ended, the others have only `patienceMs`
   * @returns `false` if some of it still runs
   */
  groupEnded(asked: AbortSignal, patienceMs: number): Promise<boolean>
  /** Does nothing of its process group run any more? */
  readonly isOver: boolean
  /** Sends a signal to every process of the group that there still is. */
  kill(signal: NodeJS.Signals): void
}

export interface ChildOptions {
  /** Our stdout is for events: the application's own goes to stderr. */
  readonly keepStdout: boolean
}

/**
 * Signals that the application gets as well. In a group of its own it would not even get the Ctrl-C
 * of the terminal.
 */
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const

/** What an init may take to wait for processes that it has inherited. */
const REAP_MS = 2500
/** How often a group is looked at whose first process has ended; nothing tells of the others' end. */
const LOOK_MS = 50

/**
 * Starts the application with our standard streams and environment, and passes signals on to it for
 * as long as any process of it runs.
 *
 * @throws UsageError if the command cannot be started
 */
export async function startChild(
  command: readonly string[],
  { keepStdout }: ChildOptions,
): Promise<ChildApp> {
  const [file = '', ...args] = command
  const stdout = keepStdout ? process.stderr.fd : 'inherit'
  const child = spawn(file, args, { stdio: ['inherit', stdout, 'inherit'], detached: true })
  const { pid } = child
  const kill = (signal: NodeJS.Signals): void => {
    if (pid !== undefined) signalGroup(pid, signal)
  }
  // In front of our own listener, which ends this process at the second SIGINT or SIGTERM.
  for (const name of PASSED_ON) process.prependListener(name, kill)
  const stopPassing = (): void => {
    for (const name of PASSED_ON) process.off(name, kill)
  }
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))
    })
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) => {
      stopPassing()
      reject(
        new UsageError(
          `The command ${JSON.stringify(file)} could not be started: ${cause.message}.`,
          'Check the command after --.',
          { cause },
        ),
      )
    })
  })
  const isOver = (): boolean => pid === undefined || !isGroupAlive(pid)
  const groupEnded = async (asked: AbortSignal, patienceMs: number): Promise<boolean> => {
    await ended
    let leftMs = patienceMs
    while (!isOver()) {
      if (asked.aborted) leftMs -= LOOK_MS
      if (leftMs < 0) return false
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    stopPassing()
    if (pid !== undefined) await reaped(pid)
    return true
  }
  return {
    ended,
    groupEnded,
    kill,
    get isOver() {
      return isOver()
    },
  }
}

/**
 * Gives the init a moment, so that who looks for the application after our end finds nothing of it. As
 * PID 1 we are that init, and wait for nobody.
 */
async function reaped(group: number): Promise<void> {
  if (process.pid === 1) return
  for (let leftMs = REAP_MS; leftMs > 0 && groupExists(group); leftMs -= LOOK_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}
