import type { CommandContext } from '../command-context.ts'
import { UsageError } from '../usage-error.ts'

export async function unlock(
  _context: CommandContext,
  _operands: readonly string[],
  _rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  throw new UsageError('walsync unlock is not there yet.', 'wait for it')
}
