import { resolve } from 'node:path'
import type { RawSetting, RawSettings } from '../args/database-settings.ts'
import { DATABASE_SETTINGS, keyOf } from '../args/setting-lookup.ts'

/** Keys and values of the file, or of a part of it. */
export type Mapping = Readonly<Record<string, unknown>>

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The settings of a mapping, by the names of their flags. A group counts key by key. */
export function readSettings(data: Mapping, folder: string): RawSettings {
  const settings: Record<string, RawSetting> = {}
  for (const name of DATABASE_SETTINGS) {
    const [first, second] = keyOf(name)?.split('.') ?? []
    if (first === undefined) continue
    const inside = second === undefined ? data : data[first]
    const value = isMapping(inside) ? inside[second ?? first] : undefined
    if (!isRawSetting(value)) continue
    settings[name] = name === 'spoolDir' ? resolve(folder, String(value)) : value
  }
  if (data.retention !== undefined) settings.prune = data.retention !== 'none'
  return settings
}

function isRawSetting(value: unknown): value is RawSetting {
  return typeof value === 'string' || typeof value === 'boolean' || Array.isArray(value)
}

/** A folder that is written relative starts from the file's own folder. */
export function bucketFrom(bucket: unknown, folder: string): string | undefined {
  if (typeof bucket !== 'string') return undefined
  return bucket.startsWith('.') ? resolve(folder, bucket) : bucket
}
