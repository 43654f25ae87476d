import type { z } from 'zod'
import { nearestWord } from '../args/nearest-word.ts'
import type { ConfigDocument } from './config-document.ts'
import type { ConfigPath, ConfigProblem } from './config-problem.ts'
import { configSchema, keyOfFlag, keysOf } from './config-schema.ts'
import { refusal } from './file-value.ts'

/** What the shape of a file has against its contents, in words and with places. */
export function schemaProblems(
  issues: readonly Issue[],
  data: unknown,
  document: ConfigDocument,
): ConfigProblem[] {
  return issues.flatMap((issue) => problemsOf(issue, [], data, document))
}

type Issue = z.core.$ZodIssue

function problemsOf(
  issue: Issue,
  base: ConfigPath,
  data: unknown,
  document: ConfigDocument,
): ConfigProblem[] {
  const path = [...base, ...(issue.path as ConfigPath)]
  const value = valueAt(data, path)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const at = [...path, key]
      return { ...document.positionOfKey(at), path: at, text: unknownKey(key, path) }
    })
  }
  if (issue.code === 'invalid_union' && isMapping(value)) {
    const inner = issue.errors.at(-1) ?? []
    return inner.flatMap((nested) => problemsOf(nested, path, data, document))
  }
  const text = issue.code === 'custom' ? issue.message : refusal(value, expected(issue, path))
  return [{ ...document.positionOf(path), path, text }]
}

function expected(issue: Issue, path: ConfigPath): string {
  if (path.at(-1) === 'retention') return 'none or a group of keep- rules'
  if (issue.code !== 'invalid_type') return issue.message
  if (issue.expected === 'array') return 'a list (lines that start with -)'
  return path[0] === 'databases' && path.length === 2
    ? 'a database: write - path: FILE, - glob: PATTERN or - folder: FOLDER'
    : 'a group of keys'
}

/** Names the key that was meant: misspelt, written as a flag, or at another place. */
function unknownKey(key: string, path: ConfigPath): string {
  const asFlag = keyOfFlag(key)
  if (asFlag !== undefined && asFlag !== key) return `is an unknown key; write ${asFlag}`
  const isTop = path.length === 0
  if (keysAt(isTop ? ['databases', 0] : []).includes(key)) {
    return `is an unknown key here; it belongs to ${isTop ? 'one of the databases' : 'the top level of the file'}`
  }
  const known = keysAt(path)
  const nearest = nearestWord(key, known)
  if (nearest !== undefined) return `is an unknown key; did you mean ${nearest}?`
  return `is an unknown key; the keys here are ${known.join(', ')}`
}

function keysAt(path: ConfigPath): string[] {
  const last = String(path.at(-1) ?? '')
  const group = keysOf(last).map(([key]) => key)
  if (group.length > 0) return group
  const { databases, ...top } = configSchema.shape
  const keys = path.length === 0 ? [...Object.keys(top), 'databases'] : databaseKeys(databases)
  return keys.filter((key) => key !== '$schema')
}

function databaseKeys(databases: (typeof configSchema.shape)['databases']): string[] {
  return Object.keys(databases.unwrap().element.shape)
}

function valueAt(data: unknown, path: ConfigPath): unknown {
  return path.reduce<unknown>(
    (inside, part) => (inside as Record<string | number, unknown> | undefined)?.[part],
    data,
  )
}

function isMapping(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
