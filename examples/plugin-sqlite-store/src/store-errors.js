import { isStoreError, StoreError } from 'walsync/store'

// #region errors
/** SQLite's primary result code, https://sqlite.org/rescode.html, as walsync's. */
const CODES = {
  5: 'Unavailable', // SQLITE_BUSY: another process wrote for longer than the time-out
  3: 'PermissionDenied', // SQLITE_PERM
  8: 'PermissionDenied', // SQLITE_READONLY
  11: 'Corrupted', // SQLITE_CORRUPT
  13: 'NoSpace', // SQLITE_FULL
  14: 'ContainerNotFound', // SQLITE_CANTOPEN: the folder is missing
  26: 'Corrupted', // SQLITE_NOTADB
}

/** An abort's own reason and errors of the caller's source go through as they are. */
export function toStoreError(error, { op, key }) {
  if (isStoreError(error) || error?.code !== 'ERR_SQLITE_ERROR') return error
  const code = CODES[error.errcode & 0xff] ?? 'Unknown'
  const what = key === undefined ? op : `${op} of ${key}`
  return new StoreError(code, `${what} failed: ${error.message}.`, { op, key, cause: error })
}
// #endregion
