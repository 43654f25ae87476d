import { UsageError } from '../args/usage-error.ts'

/** From the root of the file: `['databases', 2, 'sync-interval']`. */
export type ConfigPath = readonly (string | number)[]

/** One thing that is wrong in a configuration file. */
export interface ConfigProblem {
  /** From 1, as editors count. */
  readonly line: number
  readonly column: number
  readonly path: ConfigPath
  /** A clause without a full stop: `is not a duration`. */
  readonly text: string
}

/** All problems of a file as one error, in the order of its lines. */
export function configError(file: string, problems: readonly ConfigProblem[]): UsageError {
  const details = [...problems]
    .sort((a, b) => a.line - b.line || a.column - b.column)
    .map(({ line, column, path, text }) => {
      const where = path.length === 0 ? '' : `${formatPath(path)} `
      return `${file}:${line}:${column}: ${where}${text}`
    })
  const count = problems.length === 1 ? 'an error' : `${problems.length} errors`
  return new UsageError(
    `${file} has ${count}.`,
    'Correct the file, then run walsync config check.',
    { details },
  )
}

/** `databases[2].sync-interval`. */
export function formatPath(path: ConfigPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? part : `${text}.${part}`
  }, '')
}
