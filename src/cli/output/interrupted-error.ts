import { constants } from 'node:os'
import { WalsyncError } from '../../core/errors.ts'

/** The signals that ask walsync to end. */
export type EndSignal = 'SIGINT' | 'SIGTERM'

/** The abort reason after SIGINT or SIGTERM; the exit code follows the shell's 128 + number. */
export class InterruptedError extends WalsyncError<'Interrupted'> {
  override readonly name = 'InterruptedError'
  readonly signal: EndSignal

  constructor(signal: EndSignal) {
    const hint = 'Nothing is half-written: run the command again.'
    super('Interrupted', `Interrupted by ${signal}.`, signalExitCode(signal), { hint })
    this.signal = signal
  }
}

/** What a shell reports for a process that a signal ended: 130 for SIGINT, 143 for SIGTERM. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + (constants.signals[signal] ?? 0)
}
