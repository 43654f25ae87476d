import { resolve } from 'node:path'
import { z } from 'zod'
import { Engine } from '../../core/engine/engine.ts'
import { StoreError } from '../../core/store/index.ts'
import { type ChildApp, startChild } from '../child-process.ts'
import type { CommandContext } from '../command-context.ts'
import { nameDatabases } from '../database-names.ts'
import { eventLine, logEvent } from '../event-log.ts'
import { bytes, duration, parseFlags, text } from '../flags.ts'
import { InterruptedError } from '../interrupted-error.ts'
import { replicaStore } from '../open-store.ts'
import { StartProbe, warnOfRegions } from '../start-probe.ts'
import { bucketFlags } from './bucket-flags.ts'

const watchFlags = bucketFlags.extend({
  name: text('a name').optional(),
  syncInterval: duration(),
  pollInterval: duration(),
  snapshotInterval: duration({ zero: true }),
  maxWalSize: bytes(),
  spoolDir: text('a folder').optional(),
  maxSpoolSize: bytes(),
  shutdownTimeout: duration(),
  probe: z.boolean(),
  fencing: z.boolean(),
})

/**
 * `walsync watch`: replicates until SIGTERM or SIGINT, or until the application after `--` ends;
 * then ships what was committed last, within `--shutdown-timeout`.
 *
 * @returns 0, or the application's exit code
 */
export async function watch(
  context: CommandContext,
  paths: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
  command: readonly string[],
): Promise<number> {
  const flags = parseFlags(watchFlags, rawFlags)
  const { logger, output, signal } = context
  const named = nameDatabases(paths, { cwd: context.cwd, name: flags.name })
  const opened = await context.openStore(flags.bucket, { signal, create: true, retry: RETRY })
  warnOfRegions(opened.store, context)
  const probe = new StartProbe(opened.store, context)
  const engine = new Engine({
    databases: named.map(({ name, path, prefix }) => ({
      name,
      path,
      layout: opened.layout,
      store: replicaStore(opened, prefix),
      syncIntervalMs: flags.syncInterval,
      pollIntervalMs: flags.pollInterval,
      snapshots: { intervalMs: flags.snapshotInterval },
      maxWalBytes: flags.maxWalSize,
      spoolDir:
        flags.spoolDir === undefined ? undefined : resolve(context.cwd, flags.spoolDir, prefix),
      maxSpoolBytes: flags.maxSpoolSize,
    })),
    onEvent: (event) => {
      logEvent(logger, event)
      output.event(eventLine(event, new Date()))
    },
  })
  let exitCode: number
  try {
    const started = engine.start()
    if (flags.probe) probe.begin()
    await Promise.race([started, aborted(signal)])
    const { description: store } = opened.store
    if (!signal.aborted) logger.info({ databases: named.length, store }, 'watching')
    exitCode = signal.aborted ? 0 : await untilEnd(engine, signal, command)
  } catch (error) {
    await Promise.all([engine.stop(flags.shutdownTimeout), probe.end()])
    throw error
  }
  const [unshipped] = await Promise.all([engine.stop(flags.shutdownTimeout), probe.end()])
  if (unshipped.length === 0) return exitCode
  const error = unfinished(unshipped, flags.shutdownTimeout)
  if (exitCode === 0) throw error
  logger.error(error.message)
  return exitCode
}

/** The engine tries again for ever, so that one call need not: an outage is reported sooner. */
const RETRY = { attempts: 3, totalMs: 15_000 }

function unfinished(names: readonly string[], timeoutMs: number): StoreError {
  const message = `The last changes of ${names.join(', ')} did not reach the store within ${timeoutMs} ms.`
  return new StoreError('Timeout', message, {
    op: 'put',
    hint: 'they are kept in the WAL and shipped at the next start; --shutdown-timeout gives more time',
  })
}

/** @throws FencedError if another writer took every database over */
async function untilEnd(
  engine: Engine,
  signal: AbortSignal,
  command: readonly string[],
): Promise<number> {
  if (command.length === 0) {
    await Promise.race([aborted(signal), engine.done()])
    return 0
  }
  const child = await startChild(command)
  signal.addEventListener('abort', () => forward(signal.reason, child))
  if (signal.aborted) forward(signal.reason, child)
  try {
    await Promise.race([child.ended, engine.done()])
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
