import { ReplicaError } from '../replica/replica-error.ts'
import { isStoreError } from '../store/index.ts'
import type { EngineEvent } from './events.ts'

/**
 * What is done for one database. Each can fail by itself, and only its own success ends its failure.
 * In the order in which their errors matter. `replication`: opening, capturing, finding the replica's end, bases.
 */
export const WORKS = [
  'replication',
  'upload',
  'checkpoint',
  'spool',
  'snapshot',
  'upkeep',
  'verification',
] as const
export type Work = (typeof WORKS)[number]

/** Which work an event tells the failure of, and why. */
export function failureIn(event: EngineEvent): { work: Work; error: unknown } | undefined {
  switch (event.type) {
    case 'store-error':
    case 'database-error':
      return { work: event.during, error: event.error }
    case 'spool-failed':
      return { work: 'spool', error: event.error }
    case 'maintenance-error':
      return { work: 'upkeep', error: event.error }
    case 'delete-failed':
      return { work: 'upkeep', error: event.failures[0]?.error }
    case 'verify-failed':
      return { work: 'verification', error: event.error }
    case 'damage-found': {
      const what = event.defects[0]?.message ?? 'it has defects'
      return { work: 'verification', error: new Error(`the replica is ${event.verdict}: ${what}`) }
    }
    default:
      return undefined
  }
}

/** Which work an event proves to go on. */
export function successIn(event: EngineEvent): readonly Work[] {
  switch (event.type) {
    case 'store-recovered':
    case 'database-recovered':
      return [event.during]
    case 'resumed':
      return ['replication']
    case 'base':
      // Pending files whose upload failed may have been given up for it.
      return ['replication', 'upload']
    case 'synced':
    case 'adopted':
      // What is in the store needs no spool.
      return ['upload', 'spool']
    case 'spooling':
      return ['spool']
    case 'checkpoint':
      return ['checkpoint']
    case 'snapshot':
      return ['snapshot']
    case 'maintenance-recovered':
      return ['upkeep']
    case 'verified':
      return event.defects === 0 ? ['verification'] : []
    default:
      return []
  }
}

/** The event of an error that is tried again: whose fault it is decides who has to do something. */
export function failureEvent(during: Work, error: unknown, retryInMs: number) {
  const isFromStore = isStoreError(error) || error instanceof ReplicaError
  const type = isFromStore ? ('store-error' as const) : ('database-error' as const)
  return { type, during, error, retryInMs }
}

export function messageOf(error: unknown): string {
  return error instanceof Error || isStoreError(error) ? error.message : String(error)
}
