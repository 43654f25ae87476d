import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { UsageError } from '../args/usage-error.ts'

/** The application that `watch` runs alongside replication, in its own process group. */
export interface ChildApp {
  /** The code to exit with: the command's own, or 128 + the signal that ended it. */
  readonly ended: Promise<number>
  /**
   * Resolves when no process of its group is left: with `npm start` and `sh -c` the command itself
   * may end before the processes that it has started.
   *
   * @param asked aborted when the application has been asked to end. From then on, or once the
   *   command itself has ended, the other processes have only `patienceMs`
   * @returns `false` if a process of it is still running
   */
  groupEnded(asked: AbortSignal, patienceMs: number): Promise<boolean>
  /** Have all processes of its group ended? */
  readonly isOver: boolean
  /** Sends a signal to every remaining process of the group. */
  kill(signal: NodeJS.Signals): void
}

export interface ChildOptions {
  /** Our stdout is for events, so the application's stdout goes to stderr. */
  readonly keepStdout: boolean
}

/**
 * Signals that are passed on to the application. In its own process group it would not even get the
 * terminal's Ctrl-C.
 */
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const

/** How long an init process may take to reap processes that it has inherited, in milliseconds. */
const REAP_MS = 2500
/**
 * How often to check a group whose first process has ended: there is no notification when the
 * others end.
 */
const LOOK_MS = 50

/**
 * Starts the application with our standard streams and environment, and passes signals on to it as
 * long as any of its processes is running.
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
  // Before our own listener, which ends this process on the second SIGINT or SIGTERM.
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
 * Gives the init process a moment, so that no trace of the application is left after we have ended.
 * As PID 1 we are that init process and reap nothing.
 */
async function reaped(group: number): Promise<void> {
  if (process.pid === 1) return
  for (let leftMs = REAP_MS; leftMs > 0 && groupExists(group); leftMs -= LOOK_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

/**
 * Is any process of the group still running? Zombies do not count: as PID 1 of a container without
 * an init process we would wait for them forever.
 */
function isGroupAlive(group: number): boolean {
  if (!groupExists(group)) return false
  if (process.platform !== 'linux') return true
  let found = false
  for (const { state, group: ofOne } of processes()) {
    if (ofOne !== group) continue
    found = true
    if (state !== 'Z' && state !== 'X') return true
  }
  // None found, for example because /proc hides the processes of other users: ask the kernel.
  return !found && groupExists(group)
}

/** Does nothing if the group has ended, or if we may not signal it. */
function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}

/** Like `isGroupAlive`, but zombies count. */
function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function* processes(): Generator<{ readonly state: string; readonly group: number }> {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    let stat: string
    try {
      stat = readFileSync(`/proc/${name}/stat`, 'latin1')
    } catch {
      continue
    }
    // `pid (name) state ppid pgrp …`; the name may hold spaces and brackets.
    const [state = '', , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    yield { state, group: Number(group) }
  }
}
