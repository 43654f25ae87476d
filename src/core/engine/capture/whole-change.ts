import { DatabaseError, type SourceDatabase, type WalChange } from '../../db/index.ts'
import { lockPage } from '../../ltx/index.ts'
import { missingGrowth } from '../../wal/index.ts'

/**
 * The change, if it holds all pages that a growing database gained: LTX has no other place for them.
 *
 * @throws DatabaseError `ContinuityLost` if one is missing
 */
export function wholeChange(source: SourceDatabase, change: WalChange): WalChange {
  const missing = missingGrowth(change, lockPage(source.pageSize))
  if (missing.length === 0) return change
  throw new DatabaseError(
    'ContinuityLost',
    source.path,
    `The WAL of ${source.path} lacks page ${missing[0]} of ${change.commit}.`,
  )
}
