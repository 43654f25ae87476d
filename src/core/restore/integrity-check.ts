import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { IntegrityReport } from './integrity-child.ts'
import { RestoreError } from './restore-error.ts'

/**
 * `full`: `PRAGMA integrity_check`; `quick`: `PRAGMA quick_check`, which does not check that
 * indexes match their tables.
 */
export type IntegrityCheck = 'full' | 'quick' | 'none'

/** A database that is about to be checked. Dispose it if it is not checked after all. */
export interface PreparedCheck extends Disposable {
  /**
   * Has SQLite check the database, which must not be open anywhere else. The file and its folder
   * are not written to. Call it once.
   *
   * @returns descriptions of the first rows that break a constraint of their table: they were in
   *   the application's database, so a restore must not reject them
   * @throws RestoreError `IntegrityCheckFailed` if SQLite finds damage or crashes;
   *   `IntegrityCheckIncomplete` if it could not finish, for example because its process was
   *   killed, or because of a collation that only the application defines
   * @throws the signal's reason
   */
  run(): Promise<readonly string[]>
}

/**
 * Starts the process that will check a database while the database is still being written, because
 * the start takes as long as the restore of a small one. The check needs a process of its own:
 * checking a large database takes minutes and cannot be interrupted inside SQLite, and a database
 * that was crafted to crash SQLite must not take this process down.
 *
 * @param check `none` starts nothing and finds nothing
 */
export function prepareIntegrityCheck(
  path: string,
  check: IntegrityCheck,
  signal?: AbortSignal | undefined,
): PreparedCheck {
  let child = check === 'none' ? undefined : startChild(path, check)
  const kill = (): void => {
    child?.process.kill('SIGKILL')
  }
  signal?.addEventListener('abort', kill)
  return {
    async run() {
      signal?.throwIfAborted()
      if (child === undefined) return []
      // The system may have ended a process that waited for long.
      if (hasEnded(child.process)) child = startChild(path, check)
      child.process.stdin.end('begin')
      const outcome = await child.outcome
      signal?.throwIfAborted()
      return judge(outcome)
    },
    [Symbol.dispose]() {
      signal?.removeEventListener('abort', kill)
      kill()
    },
  }
}

interface Checker {
  readonly process: ChildProcessWithoutNullStreams
  readonly outcome: Promise<Outcome>
}

/** The process checks when it reads a word, and ends when its input ends without one, as it does with this process. */
function startChild(path: string, check: IntegrityCheck): Checker {
  // The compiled file has another extension; both are next to this file.
  const script = fileURLToPath(import.meta.url).replace(
    /integrity-check(\.\w+)$/,
    'integrity-child$1',
  )
  const child = spawn(process.execPath, ['--no-warnings', script, path, check], {
    stdio: 'pipe',
    // No environment variables, least of all credentials, for a process that opens an untrusted
    // database.
    env: {},
  })
  // How the process ended says more than a pipe that it no longer reads.
  child.stdin.on('error', () => undefined)
  const outcome = outcomeOf(child)
  outcome.catch(() => undefined)
  return { process: child, outcome }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

interface Outcome {
  readonly killedBy: string | null
  readonly output: string
  readonly errors: string
}

/** Longest output kept of each stream, in characters. */
const MAX_OUTPUT = 64 * 1024

async function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  const streams = { output: '', errors: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (streams.output.length < MAX_OUTPUT) streams.output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (streams.errors.length < MAX_OUTPUT) streams.errors += text
  })
  try {
    const [, killedBy] = (await once(child, 'close')) as [number | null, string | null]
    return { killedBy, ...streams }
  } catch (cause) {
    throw incomplete('its process could not be started', cause)
  }
}

/** How a process ends that a damaged database has crashed; the system or an operator kills it otherwise. */
const CRASHES: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL'])
const KILLED_HINT =
  'The system ends processes that need too much memory. Restore again with more of it, or with --integrity-check none, and check the database on another machine.'

/** @returns findings that do not fail the check */
function judge({ killedBy, output, errors }: Outcome): readonly string[] {
  if (killedBy !== null && CRASHES.has(killedBy)) throw failed(`SQLite crashed (${killedBy})`)
  if (killedBy !== null) {
    throw incomplete(`its process was ended by ${killedBy}`, undefined, KILLED_HINT)
  }
  let report: IntegrityReport
  try {
    report = JSON.parse(output) as IntegrityReport
  } catch (cause) {
    throw incomplete(`its process ended without a result ${errors.trim().slice(-500)}`, cause)
  }
  if (report.outcome === 'damaged') throw failed(report.problems.join('; '))
  if (report.outcome === 'incomplete') throw incomplete(report.problems.join('; '))
  return report.warnings
}

function failed(problems: string): RestoreError {
  const message = `The restored database fails its integrity check: ${problems}.`
  return new RestoreError('IntegrityCheckFailed', message, {
    hint: 'All checksums of the replica are correct, so the source was probably damaged before it was replicated. Check it, and restore an older state.',
  })
}

const APP_HINT =
  'If the schema uses collations or functions of the app, restore with --integrity-check none and check with the app.'

function incomplete(why: string, cause?: unknown, hint = APP_HINT): RestoreError {
  const message = `The integrity check of the restored database could not be finished: ${why}.`
  return new RestoreError('IntegrityCheckIncomplete', message, {
    cause,
    hint,
  })
}
