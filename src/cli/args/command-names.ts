/** Every command, in the order of `walsync --help`. */
export const COMMANDS = [
  'watch',
  'snapshot',
  'restore',
  'list',
  'status',
  'sync',
  'verify',
  'repair',
  'compact',
  'prune',
  'unlock',
  'config',
  'doctor',
] as const
export type CommandName = (typeof COMMANDS)[number]
