import { z } from 'zod'
import { flag } from '../args/flags.ts'
import { replicaName, text } from '../args/kinds.ts'
import {
  DATABASE_SETTINGS,
  type DatabaseSetting,
  keyOf,
  SETTING_ROWS,
  type SettingName,
  settingRow,
} from '../args/setting-lookup.ts'
import { fileSwitch, fileValue } from './file-value.ts'

/** What a group of keys is for. */
const GROUPS: Readonly<Record<string, string>> = {
  snapshot: 'When a replica gets another full copy of its database.',
  retention: "How much of a replica's history is kept; none: nothing is ever deleted.",
}

const database = z
  .strictObject({
    path: plain('a path', 'One database.'),
    glob: plain(
      'a pattern',
      'Databases by a pattern of * ? [ ] { } and **. New files are added, missing ones dropped.',
    ),
    folder: plain(
      'a folder',
      'All SQLite databases of a folder. New files are added, missing ones dropped.',
    ),
    recursive: fileSwitch({ description: 'Include the folders inside it.', default: false }),
    name: fileValue(
      flag(replicaName()),
      { description: 'Name of the replica of one path (default: the file name, no extension).' },
      ['string'],
    ),
    prefix: plain('a folder of the store', 'What the names of the replicas begin with.'),
    bucket: settingValue('bucket', false),
    ...databaseKeys(false),
  })
  .meta({ oneOf: ['path', 'glob', 'folder'].map((key) => ({ required: [key] })) })

/** The shape of a configuration file: every key that there is, and what its value may be. */
export const configSchema = z
  .strictObject({
    $schema: plain('a URL', 'Where the JSON schema is, for editors.'),
    ...toShape(processKeys(), true),
    ...databaseKeys(true),
    databases: z.array(database).optional().meta({ description: 'What to replicate.' }),
  })
  .meta({
    title: 'walsync configuration',
    description: 'What walsync watch replicates, where to and how.',
  })

type Shape = Readonly<Record<string, ReturnType<typeof settingValue>>>

/** @param withDefaults defaults are those of the file as a whole: an entry has what the top level has */
function databaseKeys(withDefaults: boolean) {
  const group = (name: string) =>
    z.strictObject(toShape(keysOf(name), withDefaults)).meta({ description: GROUPS[name] })
  return {
    ...toShape(keysOf(undefined), withDefaults),
    snapshot: group('snapshot').optional(),
    retention: z.union([z.literal('none'), group('retention')]).optional(),
  }
}

function toShape(keys: readonly [string, SettingName][], withDefaults: boolean): Shape {
  return Object.fromEntries(keys.map(([key, name]) => [key, settingValue(name, withDefaults)]))
}

function settingValue(name: SettingName, withDefault: boolean) {
  const { kind, help, default: standard } = settingRow(name)
  const description =
    standard === true ? `false: ${help.charAt(0).toLowerCase()}${help.slice(1)}` : help
  const notes = { description, default: withDefault ? standard : undefined, enum: kind.words }
  if (kind.placeholder === undefined) return fileSwitch(notes)
  if (kind.isRepeatable) {
    const item = plain(
      kind.expected,
      `${kind.expected.charAt(0).toUpperCase()}${kind.expected.slice(1)}.`,
    )
    return z.array(item.unwrap()).optional().meta({ description })
  }
  return fileValue(flag(kind), notes, kind.inFile, kind.isSecret)
}

function plain(expected: string, description: string) {
  return fileValue(flag(text(expected, '')), { description }, ['string'])
}

/** The JSON schema of the configuration file (draft 2020-12), as `walsync config schema` prints it. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // A value may come from the environment, whatever its own type is.
      const fixed = jsonSchema.type === 'boolean' ? ['type'] : jsonSchema.enum ? ['enum'] : []
      for (const key of fixed) {
        jsonSchema.anyOf = [{ [key]: jsonSchema[key] }, { type: 'string', pattern: '\\$\\{' }]
        delete jsonSchema[key]
      }
    },
  })
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
function processKeys(): [string, SettingName][] {
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
