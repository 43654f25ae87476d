import { formatList } from '../output/format.ts'
import type { Logger } from '../output/logger.ts'
import type { FleetStatus } from './fleet-status.ts'

/** The last log lines of a `watch`: up to where everything is in the store, or what is missing. */
export function logEnd(
  logger: Logger,
  databases: readonly FleetStatus[],
  unshipped: readonly string[],
): void {
  const replicated = databases.filter(({ engine, state }) => engine && state !== 'fenced')
  const behind = replicated.filter(({ name }) => unshipped.includes(name))
  const shipped = replicated.filter(({ name }) => !unshipped.includes(name))
  if (behind.length > 0) {
    const text = `ended before everything was in the store: ${listed(behind)}`
    logger.warn({ complete: shipped.length, incomplete: behind.length }, text)
  } else if (shipped.length > 0) {
    const text = `ended, everything is in the store: ${listed(shipped)}`
    logger.info({ databases: shipped.length }, text)
  }
}

function listed(databases: readonly FleetStatus[]): string {
  return formatList(databases.map(describeDatabase))
}

function describeDatabase({ name, engine }: FleetStatus): string {
  const { txid, pendingFiles = 0 } = engine ?? {}
  const end = txid === undefined ? 'nothing' : `up to TXID ${txid}`
  return pendingFiles > 0
    ? `${name} ${end}, ${pendingFiles === 1 ? '1 file waits' : `${pendingFiles} files wait`}`
    : `${name} ${end}`
}
