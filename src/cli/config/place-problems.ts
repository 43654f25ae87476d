import { parseReplicaUrl } from '../args/replica-url.ts'
import { UsageError } from '../args/usage-error.ts'
import type { Mapping } from './mapping.ts'

/** What is wrong with a `bucket`, if anything. Its text is not repeated: it may hold what should not be shown. */
export function urlProblem(url: unknown, folder: string, top: Mapping): string | undefined {
  if (typeof url !== 'string') return undefined
  try {
    const { protocol, pathname } = parseReplicaUrl(url, folder)
    const given = ['endpoint', 'region'].find((key) => top[key] !== undefined)
    if (protocol !== 'file:' || given === undefined) return undefined
    return `is the folder ${pathname}, for which ${given} has no meaning; write ${given} into the URLs of the other buckets (?${given}=…)`
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return `is refused: ${error.message.replace(/\.$/, '')}; ${error.hint}`
  }
}
