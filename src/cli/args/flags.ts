import { z } from 'zod'
import type { Kind } from './kinds.ts'
import {
  flagOf,
  type SettingName,
  type SettingValue,
  settingRow,
  variableOf,
} from './setting-lookup.ts'
import { SETTINGS } from './settings.ts'
import { UsageError } from './usage-error.ts'

/** The schema of one flag: the text that was given in, its meaning out. */
export function flag<T>(kind: Kind<T>) {
  return z.string().transform((value, context): T => {
    const parsed = kind.parse(value)
    if (parsed !== undefined) return parsed
    context.addIssue({ code: 'custom', message: kind.expected })
    return z.NEVER
  })
}

/** The schemas of settings that a command takes, for `z.object`. Those without a default are optional. */
export function settings<const N extends SettingName>(...names: readonly N[]): SettingSchemas<N> {
  const schemas = names.map((name) => [name, schemaOf(name)])
  return Object.fromEntries(schemas) as SettingSchemas<N>
}

/** The schema of a setting without which a command cannot do anything. */
export function required<const N extends SettingName>(name: N) {
  const kind = settingRow(name).kind as Kind<NonNullable<SettingValue<N>>>
  return z.string({ error: kind.expected }).pipe(flag(kind))
}

type SettingSchemas<N extends SettingName> = { readonly [name in N]: z.ZodType<SettingValue<name>> }

function schemaOf(name: SettingName): z.ZodType {
  const { kind, default: standard } = settingRow(name)
  const isSwitch = kind.placeholder === undefined
  const schema = isSwitch ? z.boolean() : kind.isRepeatable ? z.array(z.string()) : flag(kind)
  return standard === undefined ? schema.optional() : schema
}

/**
 * Validates all flags of a command at once, before anything is opened.
 *
 * @throws UsageError naming the first wrong flag, what it was given and what it takes
 */
export function parseFlags<S extends z.ZodObject>(schema: S, raw: Record<string, unknown>) {
  const parsed = schema.safeParse(raw)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const key = String(issue?.path[0] ?? '')
  const name = flagOf(key)
  if (raw[key] === undefined) {
    const variable = Object.hasOwn(SETTINGS, key)
      ? `, or set ${variableOf(key as SettingName)}`
      : ''
    throw new UsageError(
      `${name} was not given.`,
      `Give ${name} ${issue?.message ?? 'a value'}${variable}.`,
    )
  }
  if (Object.hasOwn(SETTINGS, key) && settingRow(key as SettingName).kind.isSecret === true) {
    const message = `The value of ${name} is not ${issue?.message ?? 'valid'}; it is not shown because it may be a secret.`
    throw new UsageError(message, `Give ${name} ${issue?.message ?? 'another value'}.`)
  }
  // Of a flag that may be repeated, the one that is wrong.
  const [, index] = issue?.path ?? []
  const list = raw[key]
  const value = Array.isArray(list) && typeof index === 'number' ? list[index] : list
  throw new UsageError(
    `${name} got ${JSON.stringify(value)}, which is not ${issue?.message ?? 'valid'}.`,
    `Give ${name} ${issue?.message ?? 'another value'}.`,
  )
}
