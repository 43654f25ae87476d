import { StoreError } from 'walsync/store'

// #region errors
/** SQLite's primary result code, https://sqlite.org/rescode.html, as walsync's. */
const CODES = {
  5: 'Unavailable', // SQLITE_BUSY: another process wrote for longer than the timeout
  3: 'PermissionDenied', // SQLITE_PERM
  8: 'PermissionDenied', // SQLITE_READONLY
  11: 'Corrupted', // SQLITE_CORRUPT
  13: 'NoSpace', // SQLITE_FULL
  14: 'ContainerNotFound', // SQLITE_CANTOPEN: the folder is missing
  26: 'Corrupted', // SQLITE_NOTADB
}

/** Called for every error of the driver that is not a StoreError already. */
export function mapSqliteError(error, { op, key }) {
  const code = CODES[(error?.errcode ?? 0) & 0xff] ?? 'Unknown'
  const what = key === undefined ? op : `${op} of ${key}`
  return new StoreError(code, `${what} failed: ${error?.message}.`, { op, key, cause: error })
}
// #endregion
