import { FencedError } from '../../core/engine/events.ts'
import { StoreError } from '../../core/store/index.ts'
import type { Invocation } from '../args/program.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { openControlSocket } from '../control/control-socket.ts'
import type { HttpServer } from '../monitor/http-server.ts'
import type { Notifier } from '../notify/notifier.ts'
import { formatList } from '../output/format.ts'
import type { Logger } from '../output/logger.ts'
import { startChild } from '../watch/child-process.ts'
import type { FleetStatus } from '../watch/fleet-status.ts'
import { onReloadSignal } from '../watch/signals.ts'
import { WatchRun } from '../watch/watch-run.ts'

/**
 * `walsync watch`: replicates until SIGTERM or SIGINT, or until the application after `--` ends;
 * then ships what was committed last, within `--shutdown-timeout`.
 *
 * @returns 0, or the application's exit code
 */
export async function watch(
  context: CommandContext,
  { operands, flags, given, fromEnvironment }: Invocation,
  command: readonly string[],
): Promise<number> {
  const { logger, signal, cwd, config } = context
  const isRestoreTyped = given.has('restoreIfMissing') && !fromEnvironment.has('restoreIfMissing')
  // Typed, it overrides a setting of the file or the environment for once.
  if (flags.startFresh === true && isRestoreTyped) {
    throw new UsageError(
      '--start-fresh and --restore-if-missing contradict each other.',
      'Give --restore-if-missing to continue from the newest state, or --start-fresh to begin a new history.',
    )
  }
  const run = await WatchRun.open(context, {
    operands,
    flags,
    given,
    cwd,
    hasCommand: command.length > 0,
  })
  const notifier = await openNotifier(run, context)
  const http = await openMonitor(run, context, notifier)
  const socket = await openControlSocket(run, context)
  const end = async (): Promise<string[]> => {
    let unshipped: string[] = []
    notifier?.ending()
    try {
      unshipped = await run.stop()
    } finally {
      await Promise.all([socket.close(), http?.close(), notifier?.close(unshipped)])
    }
    return unshipped
  }
  let exitCode: number
  try {
    const started = run.start()
    if (config !== undefined)
      onReloadSignal(() => started.then(() => run.reload()).catch(() => undefined))
    await Promise.race([started, run.refused, aborted(signal)])
    if (!signal.aborted) {
      logger.info({ databases: run.fleet.status().length, store: run.stores }, 'watching')
      notifier?.started()
    }
    exitCode = signal.aborted ? 0 : await untilEnd(run, context, command)
  } catch (error) {
    await end()
    throw error
  }
  const unshipped = await end()
  logEnd(logger, run.fleet.status(), unshipped)
  const error = whatIsLeft(run, unshipped)
  if (error === undefined) return exitCode
  if (exitCode === 0) throw error
  logger.error(error.message)
  return exitCode
}

/** Loaded only when it is asked for. */
async function openNotifier(run: WatchRun, context: CommandContext): Promise<Notifier | undefined> {
  const { heartbeat, webhook } = run.plan
  if (heartbeat === undefined && webhook === undefined) return undefined
  const { Notifier } = await import('../notify/notifier.ts')
  return new Notifier(run, context)
}

/** Loaded only when it is asked for. @throws UsageError */
async function openMonitor(
  run: WatchRun,
  { env, version, logger }: CommandContext,
  notifier: Notifier | undefined,
): Promise<HttpServer | undefined> {
  const { http, httpTokenFile } = run.plan
  if (http === undefined) return undefined
  const { httpAccess, readTokenFile } = await import('../monitor/http-access.ts')
  const token =
    httpTokenFile === undefined ? env.WALSYNC_HTTP_TOKEN : await readTokenFile(httpTokenFile)
  const access = httpAccess(http, token)
  const { serveHttp } = await import('../monitor/http-server.ts')
  const { Monitor } = await import('../monitor/monitor.ts')
  const server = await serveHttp(access, new Monitor(run, version, notifier))
  logger.info({ url: server.url }, 'serving the page and metrics')
  return server
}

function whatIsLeft({ fleet, plan }: WatchRun, unshipped: readonly string[]): Error | undefined {
  if (fleet.fenced !== undefined || unshipped.length === 0) return fleet.fenced
  const message = `The last changes of ${formatList(unshipped)} did not reach the store within ${plan.shutdownTimeoutMs} ms.`
  return new StoreError('Timeout', message, {
    op: 'put',
    hint: 'They stay in the WAL and are uploaded at the next start. --shutdown-timeout gives more time.',
  })
}

/**
 * @throws FencedError if another writer took every database over
 * @throws StoreError if the probe has found meanwhile that a store is not fit
 */
async function untilEnd(
  run: WatchRun,
  { signal, output, logger }: CommandContext,
  command: readonly string[],
): Promise<number> {
  const { fleet } = run
  if (command.length === 0) {
    await Promise.race([aborted(signal), run.refused, fleet.done()])
    return 0
  }
  const child = await startChild(command, { keepStdout: output.json })
  const patienceMs = run.plan.shutdownTimeoutMs
  const groupEnded = async (asked: AbortSignal): Promise<void> => {
    if (await child.groupEnded(asked, patienceMs)) return
    logger.warn(
      `processes of the command still run ${patienceMs} ms after it was asked to end; what they write from now on is not replicated`,
    )
  }
  void child.ended.then(() => {
    if (!child.isOver)
      logger.info('the command has ended; replicating until what it has started ends')
  })
  try {
    await Promise.race([groupEnded(signal), run.refused, fleet.done()])
  } catch (error) {
    if (error instanceof FencedError && error.isSameFile) {
      logger.warn(
        'the command keeps running, because the newer watcher replicates the very same file',
      )
      await groupEnded(signal)
      return await child.ended
    }
    // Fenced: the same application runs elsewhere on a newer copy, so this one must not continue. Refused: it would continue without the backup that it was started with.
    child.kill('SIGTERM')
    await groupEnded(AbortSignal.abort())
    throw error
  }
  await run.lookOnceMore()
  return await child.ended
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** The last log lines of a `watch`: up to where everything is in the store, or what is missing. */
function logEnd(
  logger: Logger,
  databases: readonly FleetStatus[],
  unshipped: readonly string[],
): void {
  const replicated = databases.filter(({ engine, state }) => engine && state !== 'fenced')
  const behind = replicated.filter(({ name }) => unshipped.includes(name))
  const shipped = replicated.filter(({ name }) => !unshipped.includes(name))
  if (behind.length > 0) {
    const text = `ended before everything was in the store: ${listed(behind)}`
    logger.warn({ complete: shipped.length, incomplete: behind.length }, text)
  } else if (shipped.length > 0) {
    const text = `ended, everything is in the store: ${listed(shipped)}`
    logger.info({ databases: shipped.length }, text)
  }
}

function listed(databases: readonly FleetStatus[]): string {
  return formatList(databases.map(describeDatabase))
}

function describeDatabase({ name, engine }: FleetStatus): string {
  const { txid, pendingFiles = 0 } = engine ?? {}
  const end = txid === undefined ? 'nothing' : `up to TXID ${txid}`
  return pendingFiles > 0
    ? `${name} ${end}, ${pendingFiles === 1 ? '1 file waits' : `${pendingFiles} files wait`}`
    : `${name} ${end}`
}
