import type { OpenStore, ValidateStore } from './composition/open-store.ts'
import type { Config } from './config/config.ts'
import type { Logger } from './output/logger.ts'
import type { Output } from './output/output.ts'

/** What every command is given: nothing global is read by a command itself. */
export interface CommandContext {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Of the package. */
  readonly version: string
  readonly output: Output
  readonly logger: Logger
  /** The configuration file, for the commands that have one. */
  readonly config: Config | undefined
  readonly openStore: OpenStore
  readonly validateStore: ValidateStore
  /** Aborts with an `InterruptedError` at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /** Where progress bars are drawn: a terminal, and never with `--quiet` or `--json`. */
  readonly terminal: NodeJS.WriteStream | undefined
}
