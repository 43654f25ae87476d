import { type EndSignal, InterruptedError, signalExitCode } from '../output/interrupted-error.ts'

/**
 * The first SIGINT or SIGTERM aborts the returned signal, so that the command can finish what must
 * not be left half-done; the second one calls `endNow` with the shell's exit code for it.
 */
export function endSignals(endNow: (exitCode: number) => void): AbortSignal {
  const controller = new AbortController()
  const onSignal = (signal: EndSignal): void => {
    if (controller.signal.aborted) endNow(signalExitCode(signal))
    else controller.abort(new InterruptedError(signal))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return controller.signal
}

/**
 * Calls `reload` on SIGHUP, one call at a time: signals that arrive during a call lead to one more.
 * Before this is called, SIGHUP ends the process as usual.
 *
 * @param reload never rejects
 */
export function onReloadSignal(reload: () => Promise<void>): void {
  let isRunning = false
  let isAskedAgain = false
  const run = async (): Promise<void> => {
    isRunning = true
    do {
      isAskedAgain = false
      await reload()
    } while (isAskedAgain)
    isRunning = false
  }
  process.on('SIGHUP', () => {
    if (isRunning) isAskedAgain = true
    else void run()
  })
}
