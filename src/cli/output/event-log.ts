import type { EngineEvent } from '../../core/engine/events.ts'
import type { FleetEvent } from '../watch/fleet-event.ts'
import { formatBytes } from './format.ts'

/** One line of `watch --json`. TXIDs become hex digits and errors plain objects when it is written. */
export function eventLine(event: FleetEvent, now: Date): object {
  const { type, ...rest } = event
  return { time: now, event: type, ...rest }
}

export type LogLevelOfEvent = 'debug' | 'info' | 'warn' | 'error'
type Words = readonly [LogLevelOfEvent, string]

/** An event in words, and the level at which an operator wants it. */
export function describeEvent(event: FleetEvent): Words {
  switch (event.type) {
    case 'waiting':
      return ['warn', `waiting: ${event.reason}`]
    case 'resumed':
      return [
        'info',
        event.proof === 'wal'
          ? 'resumed where the replica ends'
          : 'resumed where the replica ends: the checksum of all pages matches',
      ]
    case 'adopted':
      return ['info', 'another process uploaded the next changes: continuing after them']
    case 'idle':
      return ['debug', 'closed while it is idle']
    case 'reopened':
      return ['debug', 'reopened']
    case 'base':
      return ['info', `full copy uploaded: ${event.reason}`]
    case 'snapshot':
      return ['info', 'snapshot uploaded']
    case 'synced':
      return ['debug', 'synced']
    case 'checkpoint':
      return ['debug', 'checkpoint']
    case 'continuity-lost':
      return ['warn', `continuity lost, a full copy follows: ${event.reason}`]
    case 'files-removed':
      return [
        'error',
        `${event.reason}; restart the application: its new writes go to a file that will be lost when it ends`,
      ]
    case 'store-error':
      return ['warn', `${storeFailed(event)}: ${messageOf(event.error)}`]
    case 'store-recovered':
      return ['info', 'the store is reachable again']
    case 'database-error':
      return event.during === 'snapshot'
        ? ['warn', `the full copy failed and will be retried: ${messageOf(event.error)}`]
        : ['error', `the database cannot be replicated now: ${messageOf(event.error)}`]
    case 'database-recovered':
      return ['info', 'the database is replicated again']
    case 'wal-over-limit':
      return ['warn', `the WAL has grown to ${formatBytes(event.walBytes)}: ${event.reason}`]
    case 'spooling':
      return [
        event.reason === 'store-behind' && event.isFirst ? 'warn' : 'debug',
        `changes are waiting in the spool (${formatBytes(event.spoolBytes)})`,
      ]
    case 'spool-full':
      return ['error', `the spool is full (${formatBytes(event.spoolBytes)}), the WAL grows`]
    case 'spool-failed':
      return ['error', `the spool cannot be written, the WAL grows: ${messageOf(event.error)}`]
    case 'spool-recovered':
      return ['info', 'found changes in the spool']
    case 'spool-ignored':
      return ['warn', `a spool file is not used: ${event.reason}`]
    case 'claimed':
      return ['debug', `claimed the replica as epoch ${event.epoch}`]
    case 'took-over':
      return ['info', tookOver(event)]
    case 'not-released':
      return [
        'warn',
        `could not release the writer claim; the next start will fence it: ${messageOf(event.error)}`,
      ]
    case 'chain-broken':
      return ['error', `${event.reason}: a full snapshot follows`]
    case 'compacted':
      return ['debug', 'merged files of the replica']
    case 'pruned':
      return ['info', 'deleted files that retention no longer needs']
    case 'retention-blocked':
      return ['warn', `nothing is deleted: ${event.reason}`]
    case 'delete-failed':
      return ['warn', `${event.failures.length} objects could not be deleted`]
    case 'object-avoided':
      return ['warn', `an object cannot be merged and is skipped: ${messageOf(event.error)}`]
    case 'maintenance-error':
      return ['warn', `the upkeep of the replica failed: ${messageOf(event.error)}`]
    case 'maintenance-recovered':
      return ['info', 'the upkeep of the replica works again']
    case 'verified':
      return ['info', `the replica was verified: ${event.verdict}`]
    case 'damage-found':
      return ['error', `the replica is ${event.verdict}: ${event.defects[0]?.message ?? ''}`]
    case 'verify-failed':
      return ['warn', `the replica could not be verified: ${messageOf(event.error)}`]
    case 'drill-passed':
      return ['info', `the restore drill passed: the restore took ${event.ms} ms`]
    case 'drill-failed':
      return ['error', `the restore drill failed: ${event.failures.join(' ')}`]
    case 'drill-not-run':
      return ['warn', `the restore drill could not run: ${messageOf(event.error)}`]
    case 'fenced':
      return ['error', event.error.message]
    case 'database-added':
      return ['info', 'replication started']
    case 'database-removed':
      return removed(event)
    case 'restored':
      return ['info', `restored the database: ${formatBytes(event.bytes)}`]
    case 'standby':
      return ['info', standingBy(event)]
    case 'handed-over':
      return event.isForced
        ? ['warn', 'taking over although the other process did not end in time']
        : ['info', 'taking over: the other process no longer replicates']
  }
}

function removed(event: FleetEvent & { type: 'database-removed' }): Words {
  const { isChanged, isComplete, isGone, error } = event
  const what = isChanged ? 'replication restarts with new settings' : 'replication ends'
  if (isComplete) return isGone ? ['warn', `${what}: the file is gone`] : ['info', what]
  const why = error === undefined ? '' : `: ${messageOf(error)}`
  return ['warn', `${what}, and its last changes are not in the store${why}`]
}

function standingBy({ pid, host, since }: FleetEvent & { type: 'standby' }): string {
  if (pid === undefined) return 'standing by: another process replicates this file'
  return `standing by: process ${pid} on ${host} has replicated this file since ${since?.toISOString()}`
}

function storeFailed({ during }: EngineEvent & { type: 'store-error' | 'database-error' }): string {
  return during === 'snapshot' ? 'the store failed' : 'the store failed; changes wait in the WAL'
}

function tookOver({ from, pid, host, since }: EngineEvent & { type: 'took-over' }): string {
  const who = host === undefined ? '' : `, process ${pid} on ${host} since ${since?.toISOString()}`
  return `took over from a writer that had not ended (epoch ${from}${who})`
}

/** All but what the message says already; TXIDs as in `list`. */
export function fieldsOf(event: FleetEvent): object {
  const shown: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(event)) {
    if (name === 'type' || name === 'reason') continue
    if (name === 'error') shown.code = (value as { code?: unknown } | undefined)?.code
    else shown[name] = typeof value === 'bigint' ? value.toString() : value
  }
  return shown
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
