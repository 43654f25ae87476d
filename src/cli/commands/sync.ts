import { resolve } from 'node:path'
import { z } from 'zod'
import { parseFlags, settings } from '../args/flags.ts'
import type { CommandContext } from '../command-context.ts'
import { askControl, NobodyError } from '../control/control-client.ts'
import { ControlError, type SyncedDatabase, type SyncResult } from '../control/protocol.ts'
import { ExitCode } from '../output/exit-code.ts'
import { socketsIn } from '../status/ask-watchers.ts'
import { assertSocketPath, runFolder } from '../status/run-folder.ts'

const syncFlags = z.object({
  wait: z.boolean().optional(),
  ...settings('timeout', 'socket'),
})

/** How much longer than the timeout the watcher's answer may take, in milliseconds. */
const ANSWER_MS = 2000

type Outcome = { readonly databases: readonly SyncedDatabase[] } | { readonly error: Error }

/**
 * `walsync sync`: returns when everything that was committed before the call is in the store. Asks
 * the watchers of this machine and user; they do the work.
 *
 * @throws ControlError that says why not, with its own exit code
 */
export async function sync(
  context: CommandContext,
  names: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { wait = false, timeout, socket } = parseFlags(syncFlags, rawFlags)
  const sockets = socketsFor(context, socket)
  const method = wait ? 'wait' : 'sync'
  const ask = (path: string, name?: string) => outcome(path, method, name, timeout, context.signal)
  const outcomes =
    names.length === 0
      ? (await Promise.all(sockets.map((path) => ask(path)))).flatMap((one) => one ?? [])
      : (await Promise.all(names.map((name) => ofDatabase(name, sockets, ask)))).flat()
  if (outcomes.length === 0) throw nobody(socket)
  const databases = outcomes.flatMap((one) => ('databases' in one ? one.databases : []))
  const text = databases.map(
    ({ name, txid }) => `${name}: all is in the store, TXID ${decimal(txid)}`,
  )
  if (databases.length > 0) context.output.result({ databases }, text.join('\n'))
  const failed = outcomes.find((one) => 'error' in one)
  if (failed !== undefined && 'error' in failed) throw failed.error
  return ExitCode.ok
}

/** Several watchers may have a database of that name: a second replica of it, or one that stands by. */
async function ofDatabase(
  name: string,
  sockets: readonly string[],
  ask: (path: string, name: string) => Promise<Outcome | undefined>,
): Promise<readonly Outcome[]> {
  const answers = await Promise.all(sockets.map((path) => ask(path, name)))
  const known = answers.flatMap((one) =>
    one === undefined || isCode(one, 'UnknownDatabase') ? [] : [one],
  )
  const active = known.filter((one) => !isCode(one, 'Standby'))
  if (active.length > 0) return active
  if (known.length > 0) return known
  if (answers.every((one) => one === undefined)) return []
  return [{ error: unknownDatabase(name) }]
}

/** @returns `undefined` if nobody listens there */
async function outcome(
  path: string,
  method: 'sync' | 'wait',
  name: string | undefined,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  const late = AbortSignal.timeout(timeoutMs + ANSWER_MS)
  try {
    const params = { timeoutMs, databases: name === undefined ? undefined : [name] }
    const result = await askControl(path, method, params, AbortSignal.any([signal, late]))
    return { databases: (result as SyncResult).databases }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof NobodyError) return undefined
    if (error instanceof ControlError) return { error }
    const why = late.aborted ? 'it does not answer' : (error as Error).message
    return { error: new ControlError('Internal', `The watcher at ${path} failed: ${why}.`) }
  }
}

function socketsFor({ cwd, env }: CommandContext, socket: string | undefined): readonly string[] {
  if (socket === undefined) return socketsIn(runFolder(env)).map((found) => found.socket)
  const path = resolve(cwd, socket)
  assertSocketPath(path)
  return [path]
}

function isCode(one: Outcome, code: ControlError['code']): boolean {
  return 'error' in one && one.error instanceof ControlError && one.error.code === code
}

function nobody(socket: string | undefined): ControlError {
  const where = socket === undefined ? '' : ` at ${socket}`
  return new ControlError(
    'UnknownDatabase',
    `No watcher answers${where}.`,
    'Start walsync watch as the same user, or name its socket with --socket.',
  )
}

function unknownDatabase(name: string): ControlError {
  const hint = 'walsync status shows what the watchers of this user replicate.'
  return new ControlError('UnknownDatabase', `No watcher replicates ${name}.`, hint)
}

function decimal(txid: SyncedDatabase['txid']): string {
  return txid === undefined ? 'none' : BigInt(`0x${txid}`).toString()
}
