import type { CommandName } from './command-names.ts'
import type { Kind } from './kinds.ts'

/** One row of the table of settings (settings.ts). */
export interface Setting {
  readonly kind: Kind
  /** As it would be typed. A setting without one is optional. */
  readonly default?: string | boolean
  /** One sentence, for `--help`, the JSON schema and the documentation. */
  readonly help: string
  readonly group: string
  /** `database`: each database of a configuration file may have its own. `process`: one for all. */
  readonly scope: 'database' | 'process'
  /** Commands with this flag. */
  readonly commands: readonly CommandName[] | 'all'
  /** Its key in the configuration file where the name does not say it; false: it has none. */
  readonly key?: string | false
  readonly short?: string
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export const LOG_FORMATS = ['pretty', 'json'] as const

/** Commands that open the store named by `-b`. */
export const STORE = [
  'watch',
  'snapshot',
  'restore',
  'list',
  'verify',
  'repair',
  'compact',
  'prune',
  'unlock',
  'doctor',
] as const
export const WATCH = ['watch'] as const
export const PRUNE = ['watch', 'prune'] as const
export const WRITERS = ['watch', 'snapshot', 'repair', 'compact'] as const
