import type { CommandContext } from '../command-context.ts'
import { UsageError } from '../usage-error.ts'

export async function status(
  _context: CommandContext,
  _names: readonly string[],
  _rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  throw new UsageError('walsync status is not there yet.', 'wait for it')
}
