import type { Logger } from './logger.ts'
import type { OpenStore } from './open-store.ts'
import type { Output } from './output.ts'

/** What every command is given: nothing global is read by a command itself. */
export interface CommandContext {
  readonly cwd: string
  readonly output: Output
  readonly logger: Logger
  readonly openStore: OpenStore
  /** Aborts with an `InterruptedError` at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /** Where progress bars are drawn: a terminal, and never with `--quiet` or `--json`. */
  readonly terminal: NodeJS.WriteStream | undefined
}
