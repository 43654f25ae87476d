import { z } from 'zod'
import { flag } from '../args/flags.ts'
import { text } from '../args/kinds.ts'
import { type SettingName, settingRow } from '../args/setting-lookup.ts'
import { fileSwitch, fileValue } from './file-value.ts'
import { GROUPS, keysOf, processKeys } from './setting-keys.ts'

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
    name: plain(
      'a name',
      'Name of the replica of one path (default: the file name, no extension).',
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
