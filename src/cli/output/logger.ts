import { type Logger, pino } from 'pino'
import type { LogFormat, LogLevel } from '../args/setting-lookup.ts'
import { printable, printableJson, printableLines } from './format.ts'
import { redact } from './redact.ts'

export type { Logger } from 'pino'

/**
 * The program's log, on stderr. Written synchronously: the last lines before an exit are the ones
 * that matter.
 */
export async function createLogger(options: {
  readonly level: LogLevel
  readonly format: LogFormat
}): Promise<Logger> {
  if (options.format === 'pretty') {
    const { default: pretty } = await import('pino-pretty')
    const hooks = { streamWrite: cleanFields }
    return pino({ level: options.level, base: null, hooks }, pretty(prettyOptions()))
  }
  const destination = pino.destination({ fd: 2, sync: true })
  // A full disk under the log must not end the replication; what was not written is tried again with the next line.
  destination.on('error', () => undefined)
  return pino(
    {
      level: options.level,
      base: null,
      hooks: { streamWrite: (line) => printableJson(redact(line)) },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
}

function prettyOptions() {
  return {
    destination: 2,
    sync: true,
    colorize: process.stderr.isTTY === true && process.env.NO_COLOR === undefined,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  }
}

/** The pretty form undoes the escapes of JSON, so that they are made in the texts themselves. */
function cleanFields(line: string): string {
  const clean = (key: string, value: unknown): unknown => {
    if (typeof value !== 'string') return value
    return key === 'stack' ? printableLines(redact(value)) : printable(redact(value))
  }
  return `${JSON.stringify(JSON.parse(line, clean))}\n`
}
