import { constants } from 'node:os'

/** The signals that ask walsync to end. */
export type EndSignal = 'SIGINT' | 'SIGTERM'

/** The abort reason after SIGINT or SIGTERM; the exit code follows the shell's 128 + number. */
export class InterruptedError extends Error {
  readonly code = 'Interrupted'
  readonly signal: EndSignal
  readonly exitCode: number
  readonly hint = 'nothing is half-written; run the command again'

  constructor(signal: EndSignal) {
    super(`Interrupted by ${signal}.`)
    this.name = 'InterruptedError'
    this.signal = signal
    this.exitCode = signalExitCode(signal)
  }
}

/** What a shell reports for a process that a signal ended: 130 for SIGINT, 143 for SIGTERM. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + (constants.signals[signal] ?? 0)
}
