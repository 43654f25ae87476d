import { z } from 'zod'
import type { FileForm } from '../args/kinds.ts'

/** The schema of one flag: text in, whatever it means out. */
export type FlagSchema = z.ZodType<unknown, unknown>

/** What the JSON schema says about a value, beside its type. */
export interface ValueNotes {
  readonly description: string
  readonly default?: string | boolean | undefined
  /** The only values, where there are only few. */
  readonly enum?: readonly string[] | undefined
}

/**
 * A value that the file gives for a flag. It is checked as the flag would be and stays text; a
 * number counts as if it had been typed, a list as if its items were joined with commas.
 *
 * @param isSecret no message shows the value
 */
export function fileValue(
  flag: FlagSchema,
  notes: ValueNotes,
  kinds: readonly FileForm[],
  isSecret = false,
) {
  const type = kinds.length === 1 ? kinds[0] : [...kinds]
  return z
    .unknown()
    .meta({ ...notes, ...(notes.enum === undefined ? { type } : {}), ...itemsOf(kinds) })
    .transform((value, context): string => {
      const text = asText(value, kinds)
      const parsed = flag.safeParse(text ?? '')
      if (text !== undefined && parsed.success) return text
      const quotes = typeof value === 'number' && text === undefined ? ' (put it in quotes)' : ''
      const message =
        isSecret && value !== null
          ? `is not ${expectedBy(flag)}; the value is not shown because it may be a secret`
          : `${refusal(value, expectedBy(flag))}${quotes}`
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    })
    .optional()
}

/** A switch. The texts `true` and `false` count too: a variable of the environment has no other form. */
export function fileSwitch(notes: ValueNotes) {
  return z
    .unknown()
    .meta({ ...notes, type: 'boolean' })
    .transform((value, context): boolean => {
      if (value === true || value === 'true') return true
      if (value === false || value === 'false') return false
      context.addIssue({ code: 'custom', message: refusal(value, 'true or false') })
      return z.NEVER
    })
    .optional()
}

/** `got 5, which is not …`; null is a key with nothing behind it. */
export function refusal(value: unknown, expected: string): string {
  if (value === null) return `has no value; give ${expected}`
  return `got ${shown(value)}, which is not ${expected}`
}

function asText(value: unknown, kinds: readonly FileForm[]): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'number' && kinds.includes('number')) return String(value)
  if (!Array.isArray(value) || !kinds.includes('array')) return undefined
  const items = value.map((item) => asText(item, ['string', 'number']))
  return items.includes(undefined) ? undefined : items.join(',')
}

/** Every flag refuses the empty text, and says what it takes. */
function expectedBy(flag: FlagSchema): string {
  return flag.safeParse('').error?.issues[0]?.message ?? 'text'
}

function itemsOf(kinds: readonly FileForm[]): object {
  return kinds.includes('array') ? { items: { type: ['string', 'number'] } } : {}
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
