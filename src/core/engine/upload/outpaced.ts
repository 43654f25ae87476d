import { StoreError } from '../../store/index.ts'
import { FencedError } from '../events.ts'

/**
 * The error of a base that has met other writers' files too often. A writer with a claim may try
 * again: those that are older find out within a minute that they are, and a newer one would have
 * fenced it.
 */
export function outpaced(database: string, isClaimed: boolean, cause: StoreError): Error {
  const message = `Another writer keeps writing to the replica of ${database}.`
  const { key = '' } = cause
  if (!isClaimed) return new FencedError('TakenOver', database, key, message, { cause })
  return new StoreError('AlreadyExists', message, { op: 'put', key, retryable: true, cause })
}
