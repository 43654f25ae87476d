import { PROCESS_SETTINGS } from '../cli/args/process-settings.ts'

/** How long a walsync process may take to close everything after its last upload, in milliseconds. */
const CLOSE_MS = 10_000
const FLAG = '--shutdown-timeout'
const { kind, default: standard } = PROCESS_SETTINGS.shutdownTimeout

/**
 * How long a walsync process may take to end, in milliseconds: its shutdown timeout, as it finds it
 * itself, and 10 s. A process that needs longer is frozen.
 */
export function stopLimitMs(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): number {
  const text = lastFlag(args) ?? env.WALSYNC_SHUTDOWN_TIMEOUT ?? ''
  return (kind.parse(text) ?? kind.parse(standard) ?? 0) + CLOSE_MS
}

function lastFlag(args: readonly string[]): string | undefined {
  const at = args.findLastIndex((arg) => arg === FLAG || arg.startsWith(`${FLAG}=`))
  const arg = args[at]
  return arg === FLAG ? args[at + 1] : arg?.slice(FLAG.length + 1)
}
