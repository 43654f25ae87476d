import type { CommandContext } from '../command-context.ts'
import { UsageError } from '../usage-error.ts'

export async function prune(
  _context: CommandContext,
  _names: readonly string[],
  _rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  throw new UsageError('walsync prune is not there yet.', 'wait for it')
}
