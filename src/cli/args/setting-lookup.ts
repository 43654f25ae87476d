import type { CommandName } from './command-names.ts'
import type { Kind } from './kinds.ts'
import type { Setting } from './setting.ts'
import { SETTINGS } from './settings.ts'

/** Names of settings, as their flags are called in code. */
export type SettingName = keyof typeof SETTINGS
type Row<N extends SettingName> = (typeof SETTINGS)[N]

/** Settings of one scope. */
type Scoped<S extends Setting['scope']> = {
  [N in SettingName]: Row<N>['scope'] extends S ? N : never
}[SettingName]
export type DatabaseSetting = Scoped<'database'>

type KindValue<N extends SettingName> = Row<N>['kind'] extends Kind<infer T> ? T : never
/** What a setting means, in the units of the program. Without a default it may be undefined. */
export type SettingValue<N extends SettingName> =
  Row<N> extends { readonly default: string | boolean } ? KindValue<N> : KindValue<N> | undefined

/** What `--log-level` takes, from the most to the least that is logged. */
export type LogLevel = SettingValue<'logLevel'>
export type LogFormat = KindValue<'logFormat'>

/** All rows, for loops. */
export const SETTING_ROWS = Object.entries(SETTINGS) as readonly (readonly [SettingName, Setting])[]

/** Those that each database may have for itself. */
export const DATABASE_SETTINGS = SETTING_ROWS.flatMap(([name, { scope }]) =>
  scope === 'database' ? [name as DatabaseSetting] : [],
)

export function settingRow(name: SettingName): Setting {
  return SETTINGS[name]
}

/** The settings that a command takes; `all`: those that every command takes. */
export function settingsOf(
  command: CommandName | 'all',
): readonly (readonly [SettingName, Setting])[] {
  return SETTING_ROWS.filter(([, { commands }]) =>
    command === 'all' || commands === 'all' ? commands === command : commands.includes(command),
  )
}

/** `--sync-interval`; `--no-probe` where the switch is on by default. */
export function flagOf(name: string): string {
  const isOn = Object.hasOwn(SETTINGS, name) && settingRow(name as SettingName).default === true
  return `--${isOn ? 'no-' : ''}${kebab(name)}`
}

/** `WALSYNC_SYNC_INTERVAL`. */
export function variableOf(name: SettingName): string {
  return `WALSYNC_${kebab(name).replaceAll('-', '_').toUpperCase()}`
}

/** `sync-interval`, or in a group `snapshot.interval`; undefined for a setting that a file cannot have. */
export function keyOf(name: SettingName): string | undefined {
  const { key } = settingRow(name)
  return key === false ? undefined : (key ?? kebab(name))
}

/** The defaults of settings, as if they had been typed. */
export function defaultsOf(names: readonly SettingName[]): Record<string, string | boolean> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const standard = settingRow(name).default
      return standard === undefined ? [] : [[name, standard]]
    }),
  )
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
