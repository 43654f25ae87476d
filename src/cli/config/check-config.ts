import type { Invocation } from '../args/program.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { formatTable } from '../output/format.ts'
import { findFiles } from '../watch/find-files.ts'
import {
  refuseConflicts,
  resolveDatabases,
  type WantedDatabase,
} from '../watch/resolve-databases.ts'
import { WaitingDatabase } from '../watch/waiting-database.ts'
import { watchPlan } from '../watch/watch-plan.ts'
import { CONFIG_NAMES } from './load-config.ts'

/** What `config check` prints, and whether every database that is meant would be replicated. */
export interface CheckedConfig {
  readonly isComplete: boolean
  readonly json: object
  readonly text: string
}

/**
 * What `watch` would do with the configuration, as things are now.
 *
 * @throws UsageError if it would not start
 */
export async function checkConfig(
  { config, cwd, signal, validateStore }: CommandContext,
  { flags, given }: Pick<Invocation, 'flags' | 'given'>,
): Promise<CheckedConfig> {
  if (config === undefined) {
    const hint = `Give one with --config, or create ${CONFIG_NAMES[0]}.`
    throw new UsageError(`There is no ${CONFIG_NAMES.join(', ')} here.`, hint)
  }
  const plan = watchPlan({ operands: [], flags, given, config, cwd })
  const buckets = plan.sources.map(({ bucket }) => bucket)
  const unjudged = await validateStores(buckets, validateStore)
  const found = await Promise.all(
    plan.sources.map(async (source) => {
      const { files, failure } = await findFiles(source.where, signal)
      return { source, files, failure }
    }),
  )
  const resolved = resolveDatabases(found, cwd)
  refuseConflicts(resolved)
  const databases = resolved.databases.flatMap(describe)
  const unreadable = found.flatMap(({ failure }) => failure ?? [])
  const empty = found.filter(({ files }) => files.length === 0).map(({ source }) => source.at ?? '')
  const rows = databases.map(({ name, path, replica, state }) => [name, path, replica, state])
  const refused = resolved.refused.map(({ path, reason }) => ({ path, reason }))
  const isComplete = refused.length === 0
  const lists = {
    databases,
    refused,
    unmatched: empty,
    unreadable: unreadable.map(describeFailure),
  }
  return {
    isComplete,
    json: { config: config.path, ...lists },
    text: [
      `${config.path} is right${isComplete ? '.' : ', but not everything would be replicated.'}`,
      ...(rows.length === 0
        ? []
        : [formatTable([['DATABASE', 'FILE', 'REPLICA', 'NOW'], ...rows])]),
      ...new Set(refused.map(({ reason }) => `Not replicated: ${reason}`)),
      ...empty.map((at) => `${at}: nothing is there now.`),
      ...unjudged.map((scheme) => `${scheme}:// URLs are for a plugin to judge; none was loaded.`),
      ...unreadable.map((failure) => `Cannot be read: ${describeFailure(failure)}`),
    ].join('\n'),
  }
}

/** Nothing for a file of a folder that is no database. */
function describe({ database, kind }: WantedDatabase) {
  const { name, path, replica, settings } = database
  const waiting = new WaitingDatabase(path, kind)
  const isReady = waiting.isReady(Date.now(), () => false)
  if (!isReady && waiting.reason === undefined) return []
  return [{ name, path, replica, state: isReady ? 'ready' : (waiting.reason ?? ''), settings }]
}

/** @returns schemes that only a plugin can judge */
async function validateStores(
  buckets: readonly string[],
  validateStore: CommandContext['validateStore'],
): Promise<string[]> {
  const schemes = new Set<string>()
  for (const bucket of new Set(buckets)) {
    const scheme = await validateStore(bucket)
    if (scheme !== undefined) schemes.add(scheme)
  }
  return [...schemes]
}

function describeFailure({
  folder,
  error,
}: {
  readonly folder: string
  readonly error: Error
}): string {
  return `${folder}: ${error.message}`
}
