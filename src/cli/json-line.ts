/**
 * One JSON value and a newline. TXIDs (the only bigints) become 16 hex digits, as in object names;
 * errors become `{name, code, message, hint}`.
 */
export function jsonLine(value: object): string {
  return `${JSON.stringify(value, replace)}\n`
}

function replace(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString(16).padStart(16, '0')
  if (value instanceof Error) {
    const { name, message, code, hint } = value as Error & { code?: unknown; hint?: unknown }
    return { name, code, message, hint }
  }
  return value
}
