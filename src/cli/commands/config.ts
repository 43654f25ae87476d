import type { Invocation } from '../args/program.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { checkConfig } from '../config/check-config.ts'
import { configJsonSchema } from '../config/config-schema.ts'
import { ExitCode } from '../output/exit-code.ts'

/**
 * `walsync config check`: is the file right, and what would be replicated now? `walsync config
 * schema`: the JSON schema of the file. Asks no store.
 *
 * @returns 2 if a database that is meant would not be replicated
 */
export async function config(
  context: CommandContext,
  { operands: [action = ''], flags, given }: Invocation,
): Promise<number> {
  if (action === 'schema') {
    const schema = configJsonSchema()
    context.output.result(schema, JSON.stringify(schema, null, 2))
    return 0
  }
  if (action !== 'check') {
    const got = JSON.stringify(action)
    throw new UsageError(
      `walsync config does not know ${got}.`,
      'Run walsync config check or walsync config schema.',
    )
  }
  const { isComplete, json, text } = await checkConfig(context, { flags, given })
  context.output.result(json, text)
  return isComplete ? ExitCode.ok : ExitCode.usage
}
