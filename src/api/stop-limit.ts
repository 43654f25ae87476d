import { PROCESS_SETTINGS } from '../cli/args/process-settings.ts'

/** How long a walsync process may take to close everything after its last upload, in milliseconds. */
const CLOSE_MS = 10_000
const FLAG = '--shutdown-timeout'
const { kind, default: standard } = PROCESS_SETTINGS.shutdownTimeout

/**
 * How long a walsync process may take to end, in milliseconds, before it counts as frozen: its
 * shutdown timeout and 10 s. For one that has not said what its shutdown timeout is, which may be in
 * a configuration file (`saidStopLimitMs`): what the flags, the environment or the default say.
 */
export function stopLimitMs(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): number {
  const text = lastFlag(args) ?? env.WALSYNC_SHUTDOWN_TIMEOUT ?? ''
  return (kind.parse(text) ?? kind.parse(standard) ?? 0) + CLOSE_MS
}

/** The same for a process that has answered `status`; `undefined` if it did not say. */
export function saidStopLimitMs(status: object): number | undefined {
  const { shutdownTimeoutMs } = status as { readonly shutdownTimeoutMs?: unknown }
  return typeof shutdownTimeoutMs === 'number' ? shutdownTimeoutMs + CLOSE_MS : undefined
}

function lastFlag(args: readonly string[]): string | undefined {
  const at = args.findLastIndex((arg) => arg === FLAG || arg.startsWith(`${FLAG}=`))
  const arg = args[at]
  return arg === FLAG ? args[at + 1] : arg?.slice(FLAG.length + 1)
}
