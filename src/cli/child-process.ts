import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { UsageError } from './usage-error.ts'

/** The application that `watch` runs beside the replication. */
export interface ChildApp {
  /** The code to exit with: its own, or 128 + the signal that ended it. */
  readonly ended: Promise<number>
  /** Passes a signal on; nothing if the application has ended. */
  kill(signal: NodeJS.Signals): void
}

/** Signals that are meant for the application and mean nothing to walsync itself. */
const PASSED_ON = ['SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const

/**
 * Starts the application with our standard streams and environment.
 *
 * @throws UsageError if the command cannot be started
 */
export async function startChild(command: readonly string[]): Promise<ChildApp> {
  const [file = '', ...args] = command
  const child = spawn(file, args, { stdio: 'inherit' })
  const passOn = (signal: NodeJS.Signals): void => {
    child.kill(signal)
  }
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => {
      for (const name of PASSED_ON) process.off(name, passOn)
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))
    })
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) => {
      reject(
        new UsageError(
          `The command ${JSON.stringify(file)} could not be started: ${cause.message}.`,
          'check what stands after -- on the command line',
          { cause },
        ),
      )
    })
  })
  for (const name of PASSED_ON) process.on(name, passOn)
  return { ended, kill: passOn }
}
