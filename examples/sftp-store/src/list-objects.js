import { isKey, isStoreError } from 'walsync/store'
import { openObject } from './object-file.js'
import { isStatus, NO_SUCH_FILE } from './store-errors.js'

/** Files whose first line is read at the same time. */
const AT_ONCE = 32

/** Objects of a folder and of those below, ascending by their keys. */
export async function* listObjects(connection, root, { prefix, startAfter, signal }, folder = '') {
  const names = await namesIn(connection, `${root}/${folder}`, signal)
  const entries = names
    .map(({ filename, attrs }) => `${folder}${filename}${attrs.isDirectory() ? '/' : ''}`)
    // The staging folder has no legal name, and neither has what other programs left.
    .filter((path) => isKey(path.replace(/\/$/, '')) && mayHold(path, prefix, startAfter))
    .sort()
  for (let at = 0; at < entries.length; ) {
    signal.throwIfAborted()
    if (entries[at].endsWith('/')) {
      yield* listObjects(connection, root, { prefix, startAfter, signal }, entries[at++])
      continue
    }
    const end = entries.findIndex((path, index) => index > at && path.endsWith('/'))
    const keys = entries.slice(at, Math.min(at + AT_ONCE, end === -1 ? entries.length : end))
    const found = await Promise.all(keys.map((key) => infoOf(connection, root, key, signal)))
    // One that was deleted meanwhile, or that walsync did not write, is left out.
    yield* found.filter((info) => info !== undefined)
    at += keys.length
  }
}

function mayHold(path, prefix, startAfter) {
  if (!path.endsWith('/')) return path.startsWith(prefix) && path > startAfter
  const isInPrefix = path.startsWith(prefix) || prefix.startsWith(path)
  return isInPrefix && (path > startAfter || startAfter.startsWith(path))
}

async function namesIn(connection, path, signal) {
  try {
    return await connection.request(signal, 'readdir', path)
  } catch (error) {
    if (isStatus(error, NO_SUCH_FILE)) return []
    throw error
  }
}

async function infoOf(connection, root, key, signal) {
  try {
    const object = await openObject(connection, `${root}/${key}`, key, signal)
    object?.file.closeLater()
    return object?.info
  } catch (error) {
    if (isStoreError(error) && error.code === 'Corrupted') return undefined
    throw error
  }
}
