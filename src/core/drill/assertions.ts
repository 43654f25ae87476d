import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { AssertionAnswer } from './assertion-child.ts'

/** What one SQL assertion has found in a restored database. */
export interface AssertionResult {
  readonly sql: string
  /** The statement gave one row with one column, and its value is true as in a `WHERE`. */
  readonly passed: boolean
  /** The value as an SQL literal, cut after 200 characters; `undefined` if there is none. */
  readonly value: string | undefined
  /** Why there is no value: an error of SQLite, another number of rows or columns, no answer in time. */
  readonly error: string | undefined
  readonly durationMs: number
}

export interface AssertionOptions {
  /** Longest time for each statement, in milliseconds. Default 300,000. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const TIMEOUT_MS = 300_000
/** Characters kept of what the process says of itself. */
const MAX_ERRORS = 16 * 1024

/**
 * Asks a database that nobody else has open: each statement is one assertion. They can only read.
 * They run in a process of their own, because a query cannot be interrupted inside SQLite, and a
 * database made to crash SQLite must not take this process with it. Temporary files of SQLite go
 * into the folder of the database.
 *
 * @returns one result for each statement, in their order
 * @throws the signal's reason
 */
export async function checkAssertions(
  path: string,
  statements: readonly string[],
  options: AssertionOptions = {},
): Promise<readonly AssertionResult[]> {
  const { timeoutMs = TIMEOUT_MS, signal } = options
  const results: AssertionResult[] = []
  let started = performance.now()
  const take = (answer: AssertionAnswer): void => {
    const now = performance.now()
    const sql = statements[results.length] as string
    results.push({ sql, ...resultOf(answer), durationMs: now - started })
    started = now
  }
  while (results.length < statements.length) {
    signal?.throwIfAborted()
    const ending = await ask(path, statements.slice(results.length), take, { timeoutMs, signal })
    signal?.throwIfAborted()
    // The statement that ended the process has its answer; the next process begins behind it.
    if (results.length < statements.length) take({ error: ending })
  }
  return results
}

function resultOf(answer: AssertionAnswer): Omit<AssertionResult, 'sql' | 'durationMs'> {
  if ('error' in answer) return { passed: false, value: undefined, error: answer.error }
  return { passed: answer.holds, value: answer.value, error: undefined }
}

/** @returns why the process ended; of interest only if it has not answered everything */
async function ask(
  path: string,
  statements: readonly string[],
  take: (answer: AssertionAnswer) => void,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
): Promise<string> {
  // The compiled file has another extension; both lie beside this one.
  const script = fileURLToPath(import.meta.url).replace(/assertions(\.\w+)$/, 'assertion-child$1')
  const child = spawn(process.execPath, ['--no-warnings', script, path, ...statements], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Nothing of ours, least of all credentials, for a process that opens a foreign database.
    env: { SQLITE_TMPDIR: dirname(path) },
  })
  // It stays open, and its end tells the child that this process has ended.
  child.stdin.on('error', () => undefined)
  const kill = (): boolean => child.kill('SIGKILL')
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    kill()
  }, timeoutMs)
  signal?.addEventListener('abort', kill)
  createInterface({ input: child.stdout }).on('line', (line) => {
    take(JSON.parse(line) as AssertionAnswer)
    timer.refresh()
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (errors.length < MAX_ERRORS) errors += text
  })
  try {
    const [, killedBy] = (await once(child, 'close')) as [number | null, string | null]
    if (isLate) return `no answer within ${timeoutMs / 1000} s`
    if (killedBy !== null) return `SQLite crashed over it (${killedBy})`
    return `its process ended without an answer: ${errors.trim().slice(-500)}`
  } catch (cause) {
    return `its process could not be started: ${(cause as Error).message}`
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', kill)
  }
}
