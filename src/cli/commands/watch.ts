import { StoreError } from '../../core/store/index.ts'
import { type ChildApp, startChild } from '../child-process.ts'
import type { CommandContext } from '../command-context.ts'
import { InterruptedError } from '../interrupted-error.ts'
import type { Invocation } from '../program.ts'
import { onReloadSignal } from '../signals.ts'
import { openStatusSocket } from '../status/status-socket.ts'
import { logEnd } from '../watch/end-report.ts'
import type { Fleet } from '../watch/fleet.ts'
import { WatchRun } from '../watch/watch-run.ts'

/**
 * `walsync watch`: replicates until SIGTERM or SIGINT, or until the application after `--` ends;
 * then ships what was committed last, within `--shutdown-timeout`.
 *
 * @returns 0, or the application's exit code
 */
export async function watch(
  context: CommandContext,
  { operands, flags, given }: Invocation,
  command: readonly string[],
): Promise<number> {
  const { logger, signal, cwd, config } = context
  const run = await WatchRun.open(context, { operands, flags, given, cwd })
  const socket = await openStatusSocket(run, context)
  let exitCode: number
  try {
    const started = run.start()
    if (config !== undefined)
      onReloadSignal(() => started.then(() => run.reload()).catch(() => undefined))
    await Promise.race([started, aborted(signal)])
    if (!signal.aborted) {
      logger.info({ databases: run.fleet.status().length, store: run.stores }, 'watching')
    }
    exitCode = signal.aborted ? 0 : await untilEnd(run.fleet, signal, command)
  } catch (error) {
    await Promise.all([run.stop(), socket.close()])
    throw error
  }
  const [unshipped] = await Promise.all([run.stop(), socket.close()])
  logEnd(logger, run.fleet.status(), unshipped)
  const error = whatIsLeft(run, unshipped)
  if (error === undefined) return exitCode
  if (exitCode === 0) throw error
  logger.error(error.message)
  return exitCode
}

function whatIsLeft({ fleet, plan }: WatchRun, unshipped: readonly string[]): Error | undefined {
  if (fleet.fenced !== undefined || unshipped.length === 0) return fleet.fenced
  const message = `The last changes of ${unshipped.join(', ')} did not reach the store within ${plan.shutdownTimeoutMs} ms.`
  return new StoreError('Timeout', message, {
    op: 'put',
    hint: 'they are kept in the WAL and shipped at the next start; --shutdown-timeout gives more time',
  })
}

/** @throws FencedError if another writer took every database over */
async function untilEnd(
  fleet: Fleet,
  signal: AbortSignal,
  command: readonly string[],
): Promise<number> {
  if (command.length === 0) {
    await Promise.race([aborted(signal), fleet.done()])
    return 0
  }
  const child = await startChild(command)
  signal.addEventListener('abort', () => forward(signal.reason, child))
  if (signal.aborted) forward(signal.reason, child)
  try {
    await Promise.race([child.ended, fleet.done()])
  } catch (error) {
    // Fenced: elsewhere the same application runs on a newer copy; this one must not go on.
    child.kill('SIGTERM')
    await child.ended
    throw error
  }
  return await child.ended
}

/** A terminal sends Ctrl-C to the application too; a second SIGINT would cut its clean end short. */
function forward(reason: unknown, child: ChildApp): void {
  if (!(reason instanceof InterruptedError)) return
  if (reason.signal === 'SIGINT' && process.stdin.isTTY === true) return
  child.kill(reason.signal)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
