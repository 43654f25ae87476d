import { z } from 'zod'
import { duration, oneOf, text } from '../args/flags.ts'
import { LOG_FORMATS, LOG_LEVELS } from '../args/log-options.ts'
import { PROCESS_DEFAULTS, WATCH_DEFAULTS } from '../args/watch-defaults.ts'
import { settingFlags } from '../args/watch-settings.ts'
import { type FlagSchema, fileSwitch, fileValue } from './file-value.ts'
import { type FileSetting, GROUPS, keysOf, SETTING_KEYS } from './setting-keys.ts'

const BUCKET =
  'Where the replicas are: s3://, tigris://, gs://, az:// or file:// URL, a path that starts with / or ., or an S3 bucket.'

const NO_DEFAULTS: Defaults = {}

const database = z
  .strictObject({
    path: plain('a path', 'One database.'),
    glob: plain(
      'a pattern',
      'Databases by a pattern of * ? [ ] { } and **. New files are taken up, missing ones let go.',
    ),
    folder: plain(
      'a folder',
      'All SQLite databases of a folder. New files are taken up, missing ones let go.',
    ),
    recursive: fileSwitch({ description: 'Also the folders inside of it.', default: false }),
    name: plain(
      'a name',
      'Name of the replica of one path (default: the file name, no extension).',
    ),
    prefix: plain('a folder of the store', 'What the names of the replicas begin with.'),
    bucket: plain('a replica URL', BUCKET),
    ...settings(NO_DEFAULTS),
  })
  .meta({ oneOf: ['path', 'glob', 'folder'].map((key) => ({ required: [key] })) })

/** The shape of a configuration file: every key that there is, and what its value may be. */
export const configSchema = z
  .strictObject({
    $schema: plain('a URL', 'Where the JSON schema is, for editors.'),
    bucket: plain('a replica URL', BUCKET),
    endpoint: plain('the URL of a store', "The store's address, where it is not the usual one."),
    region: plain('the name of a region', "The store's region."),
    plugins: z
      .array(plain('the name of a package or module', 'A package or module.').unwrap())
      .optional()
      .meta({ description: 'Packages or modules that bring a store of their own.' }),
    'log-level': word(LOG_LEVELS, 'How much to log.', 'info'),
    'log-format': word(LOG_FORMATS, 'Default: pretty on a terminal.'),
    socket: plain('a path', 'Where walsync status asks (default: one for each process).'),
    status: fileSwitch({
      description: 'false: open no socket for walsync status.',
      default: PROCESS_DEFAULTS.status,
    }),
    probe: fileSwitch({
      description: 'false: do not try at start what the stores can do.',
      default: PROCESS_DEFAULTS.probe,
    }),
    'shutdown-timeout': fileValue(
      duration(),
      {
        description: 'The most that the final sync may take.',
        default: PROCESS_DEFAULTS.shutdownTimeout,
      },
      ['string', 'number'],
    ),
    ...settings(WATCH_DEFAULTS),
    databases: z.array(database).optional().meta({ description: 'What to replicate.' }),
  })
  .meta({
    title: 'walsync configuration',
    description: 'What walsync watch replicates, where to and how.',
  })

type Defaults = Readonly<Record<string, string | boolean>>

function settings(defaults: Defaults) {
  const group = (name: string) => {
    const keys = keysOf(name).map(([key, setting]) => [key, settingValue(setting, defaults)])
    return z.strictObject(Object.fromEntries(keys)).meta({ description: GROUPS[name] })
  }
  const plainKeys = keysOf(undefined).map(([key, name]) => [key, settingValue(name, defaults)])
  return {
    ...(Object.fromEntries(plainKeys) as Record<string, ReturnType<typeof settingValue>>),
    snapshot: group('snapshot').optional(),
    retention: z.union([z.literal('none'), group('retention')]).optional(),
  }
}

function settingValue(name: FileSetting, defaults: Defaults) {
  const { description, kinds, words } = SETTING_KEYS[name]
  const notes = { description, default: defaults[name], enum: words }
  const flag: FlagSchema = settingFlags.shape[name]
  const inner = flag instanceof z.ZodOptional ? (flag.unwrap() as FlagSchema) : flag
  if (inner instanceof z.ZodBoolean) return fileSwitch(notes)
  return fileValue(inner, notes, kinds ?? ['string', 'number'])
}

function plain(what: string, description: string) {
  return fileValue(text(what), { description }, ['string'])
}

function word(words: readonly string[], description: string, standard?: string) {
  return fileValue(oneOf(words), { description, default: standard, enum: words }, ['string'])
}
