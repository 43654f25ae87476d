import {
  DATABASE_SETTINGS,
  type DatabaseSetting,
  keyOf,
  SETTING_ROWS,
  type SettingName,
} from '../args/setting-lookup.ts'

/** What a group of keys is for. */
export const GROUPS: Readonly<Record<string, string>> = {
  snapshot: 'When a replica gets another full copy of its database.',
  retention: "How much of a replica's history is kept; none: nothing is ever deleted.",
}

/** The database settings of a group, or those outside of any (`undefined`): `[key there, name]`. */
export function keysOf(group: string | undefined): [string, DatabaseSetting][] {
  return DATABASE_SETTINGS.flatMap((name): [string, DatabaseSetting][] => {
    const [first, second] = keyOf(name)?.split('.') ?? []
    if (first === undefined) return []
    if (second === undefined) return group === undefined ? [[first, name]] : []
    return first === group ? [[second, name]] : []
  })
}

/** Keys of the top level only: `[key, name]`. */
export function processKeys(): [string, SettingName][] {
  return SETTING_ROWS.flatMap(([name, { scope }]): [string, SettingName][] => {
    const key = keyOf(name)
    return scope === 'process' && key !== undefined ? [[key, name]] : []
  })
}

/** How the file writes a key that someone wrote as a flag: `snapshot-interval` is `snapshot.interval`. */
export function keyOfFlag(word: string): string | undefined {
  const name = word.replaceAll(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase())
  if (name === 'prune' || name === 'noPrune') return 'retention: none'
  if (name === 'noFencing') return 'fencing: false'
  const setting = DATABASE_SETTINGS.find((each) => each === name)
  return setting && keyOf(setting)
}
