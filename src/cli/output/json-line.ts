import { printableJson } from './format.ts'
import { redact } from './redact.ts'

/**
 * One JSON value and a newline. TXIDs (the only bigints) become 16 hex digits, as in object names;
 * errors become `{name, code, message, hint}`. Secrets and control characters are not in it.
 */
export function jsonLine(value: object): string {
  return `${printableJson(JSON.stringify(value, replace))}\n`
}

function replace(_key: string, value: unknown): unknown {
  if (typeof value === 'string') return redact(value)
  if (typeof value === 'bigint') return value.toString(16).padStart(16, '0')
  if (value instanceof Error) {
    const { name, message, code, hint } = value as Error & { code?: unknown; hint?: unknown }
    return { name, code, message, hint }
  }
  return value
}
