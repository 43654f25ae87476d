import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { IntegrityReport } from './integrity-child.ts'
import { RestoreError } from './restore-error.ts'

/** `full`: `PRAGMA integrity_check`; `quick`: `PRAGMA quick_check`, which leaves out that indexes match their tables. */
export type IntegrityCheck = 'full' | 'quick' | 'none'

/**
 * Has SQLite check a database that nobody else has open. In a process of its own: a check of a
 * large database takes minutes and cannot be interrupted inside SQLite, and a database made to
 * crash SQLite must not take this process with it. The file and its folder are not written to.
 *
 * @param check `none` returns at once
 * @returns rows that break a constraint of their table, the first ones in words: the application had
 *   them so, and a restore is no place to refuse them
 * @throws RestoreError `IntegrityCheckFailed` if SQLite finds damage or crashes over it;
 *   `IntegrityCheckIncomplete` if it could not finish, for instance for a collation that only the app defines
 * @throws the signal's reason
 */
export async function checkIntegrity(
  path: string,
  check: IntegrityCheck,
  signal?: AbortSignal | undefined,
): Promise<readonly string[]> {
  signal?.throwIfAborted()
  if (check === 'none') return []
  // The compiled file has another extension; both lie beside this one.
  const script = fileURLToPath(import.meta.url).replace(
    /integrity-check(\.\w+)$/,
    'integrity-child$1',
  )
  const child = spawn(process.execPath, ['--no-warnings', script, path, check], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Nothing of ours, least of all credentials, for a process that opens a foreign database.
    env: {},
  })
  const kill = (): boolean => child.kill('SIGKILL')
  signal?.addEventListener('abort', kill)
  try {
    const outcome = await outcomeOf(child)
    signal?.throwIfAborted()
    return judge(outcome)
  } finally {
    signal?.removeEventListener('abort', kill)
  }
}

interface Outcome {
  readonly killedBy: string | null
  readonly output: string
  readonly errors: string
}

/** Longest output kept of each stream, in characters. */
const MAX_OUTPUT = 64 * 1024

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const streams = { output: '', errors: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    if (streams.output.length < MAX_OUTPUT) streams.output += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (streams.errors.length < MAX_OUTPUT) streams.errors += text
  })
  try {
    const [, killedBy] = (await once(child, 'close')) as [number | null, string | null]
    return { killedBy, ...streams }
  } catch (cause) {
    throw incomplete('its process could not be started', cause)
  }
}

/** @returns what does not stand in the way */
function judge({ killedBy, output, errors }: Outcome): readonly string[] {
  if (killedBy !== null) throw failed(`SQLite crashed over it (${killedBy})`)
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
    hint: 'Every checksum of the replica was right, so the source was probably damaged already: check it, and restore an older state.',
  })
}

function incomplete(why: string, cause?: unknown): RestoreError {
  const message = `The integrity check of the restored database could not be finished: ${why}.`
  return new RestoreError('IntegrityCheckIncomplete', message, {
    cause,
    hint: 'If the schema uses collations or functions of the app, restore with --integrity-check none and check with the app.',
  })
}
