import { resolve } from 'node:path'
import picomatch from 'picomatch'
import { prefixOf } from '../args/replica-names.ts'
import { UsageError } from '../args/usage-error.ts'
import type { ConfigDatabase, DatabasePlace } from './config.ts'
import type { ConfigPath } from './config-problem.ts'
import { bucketFrom, type Mapping, readSettings } from './mapping.ts'

/**
 * Reads one of the `databases`, as far as it goes.
 *
 * @param note takes what is wrong, by its path inside of the entry
 */
export function readDatabase(
  entry: Mapping,
  folder: string,
  at: string,
  note: (path: ConfigPath, text: string) => void,
): ConfigDatabase {
  const kinds = KINDS.filter((kind) => entry[kind] !== undefined)
  const [kind = 'path', second] = kinds
  if (kinds.length === 0) note([], 'names no database: give path, glob or folder')
  if (second !== undefined) note([second], `cannot be combined with ${kind}: give one of them`)
  const target = entry[kind]
  if (typeof target === 'string' && /^~(\/|$)/.test(target)) {
    note([kind], `got ${JSON.stringify(target)}, but ~ means nothing here; write \${HOME}`)
  }
  // A file of that name would be waited for, for ever.
  if (typeof target === 'string' && kind !== 'glob' && /[*?]/.test(target)) {
    note(
      [kind],
      `got ${JSON.stringify(target)}, which is a pattern; write it as a glob, where [*] stands for a star in a name`,
    )
  }
  if (entry.recursive !== undefined && kind !== 'folder') {
    note(['recursive'], 'is for a folder; a glob goes deeper with **')
  }
  if (entry.name !== undefined && kind !== 'path') {
    note(['name'], `is for one path; with a ${kind} use prefix, and each file is named by its path`)
  }
  return {
    where: placeOf(kind, String(target ?? ''), entry.recursive === true, folder, (text) =>
      note([kind], text),
    ),
    name: keyPart(entry.name, (text) => note(['name'], text)),
    prefix: keyPart(entry.prefix, (text) => note(['prefix'], text)),
    bucket: bucketFrom(entry.bucket, folder),
    settings: readSettings(entry, folder),
    at,
  }
}

const KINDS = ['path', 'glob', 'folder'] as const

function placeOf(
  kind: (typeof KINDS)[number],
  target: string,
  recursive: boolean,
  folder: string,
  note: (text: string) => void,
): DatabasePlace {
  if (kind === 'path') return { kind, path: resolve(folder, target) }
  if (kind === 'folder') return { kind, base: resolve(folder, target), recursive }
  const { base, glob, isGlob, negated } = picomatch.scan(target)
  if (target !== '' && (!isGlob || negated)) {
    const found = negated ? 'begins with !, which is not supported' : 'has no * ? [ ] or { }'
    note(`got ${JSON.stringify(target)}, which ${found}`)
  }
  return { kind, base: resolve(folder, base), pattern: glob }
}

/** A name or prefix as part of a key. */
function keyPart(value: unknown, note: (text: string) => void): string | undefined {
  if (typeof value !== 'string') return undefined
  try {
    return prefixOf(value.replace(/\/$/, ''))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    note(`got ${JSON.stringify(value)}, which no replica can be called`)
    return undefined
  }
}
