import type { CommandContext } from '../command-context.ts'
import { UsageError } from '../usage-error.ts'

export async function compact(
  _context: CommandContext,
  _names: readonly string[],
  _rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  throw new UsageError('walsync compact is not there yet.', 'wait for it')
}
