import { type EndSignal, InterruptedError, signalExitCode } from './interrupted-error.ts'

/**
 * The first SIGINT or SIGTERM aborts the returned signal, so that the command can finish what must
 * not stay half-done; the second one calls `endNow` with the shell's code for it.
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
