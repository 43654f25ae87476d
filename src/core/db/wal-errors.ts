import { DatabaseError } from './database-error.ts'

/** The frames of a WAL are not those that its index describes. */
export function damagedWal(path: string, reason: string): DatabaseError {
  const message = `The WAL of ${path} does not verify: ${reason}.`
  const hint =
    'Stop every application that has the database open, start one again, and run PRAGMA integrity_check.'
  return new DatabaseError('Damaged', path, message, { hint })
}

/** The WAL does not continue from the last captured position. */
export function continuityLost(path: string, reason: string): DatabaseError {
  return new DatabaseError('ContinuityLost', path, `Continuity of ${path} is lost: ${reason}.`)
}
