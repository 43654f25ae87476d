import { isStoreError } from '../../core/store/store-error.ts'
import { exitCodeOf } from './exit-code.ts'
import { printable, printableLines } from './format.ts'
import { redact } from './redact.ts'

/** One failure as the user sees it. */
export interface ErrorReport {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly exitCode: number
  /** Each thing that is wrong, if there may be several. */
  readonly details?: readonly string[]
}

/** What went wrong, where, and what to do about it; for errors of any origin. */
export function errorReport(error: unknown): ErrorReport {
  const exitCode = exitCodeOf(error)
  if (!(error instanceof Error) && !isStoreError(error)) {
    return { code: 'Unknown', message: `Unexpected: ${String(error)}`, hint: REPORT_IT, exitCode }
  }
  const { code, hint, details } = error as { code?: unknown; hint?: unknown; details?: unknown }
  const known = typeof code === 'string'
  return {
    code: known ? code : 'Unknown',
    message: known ? error.message : `Unexpected ${error.name}: ${error.message}`,
    hint: typeof hint === 'string' ? hint : known ? AGAIN : REPORT_IT,
    exitCode,
    ...(Array.isArray(details) && details.length > 0 ? { details: details.map(String) } : {}),
  }
}

/**
 * The report as the lines that go to stderr: `error: …`, its details, `  try: …`. With `stack`, the
 * stack traces of the error and of its causes follow.
 */
export function errorText(error: unknown, options: { stack: boolean }): string {
  const report = errorReport(error)
  const details = (report.details ?? []).map((line) => `  ${oneLine(line)}`)
  const lines = [`error: ${oneLine(report.message)}`, ...details, `  try: ${oneLine(report.hint)}`]
  if (options.stack) {
    for (let at: unknown = error; at instanceof Error; at = at.cause)
      lines.push(printableLines(redact(at.stack ?? at.name)))
  }
  return `${lines.join('\n')}\n`
}

const AGAIN = 'Run the command again with --log-level debug to see where it failed.'
const REPORT_IT =
  'Run the command again with --log-level debug and report the output: this is a bug in walsync.'

function oneLine(text: string): string {
  return printable(redact(text.replaceAll(/\s*\n\s*/g, ' ')))
}
