import { randomBytes } from 'node:crypto'
import { StoreError } from 'walsync/store'
import { isStatus, NO_SUCH_FILE } from './store-errors.js'

/**
 * SFTP 3 knows of a file its size and the second it was written in. That is too little for a version
 * and for `createdAt`, so each file begins with a line of fixed length that has both.
 */
const MAGIC = 'walsync-sftp-1'
export const HEADER_BYTES = MAGIC.length + 1 + 16 + 1 + 15 + 1

export function newHeader(createdAt) {
  const version = randomBytes(8).toString('hex')
  const time = createdAt === undefined ? '' : String(createdAt.getTime())
  return { version, bytes: Buffer.from(`${MAGIC} ${version} ${time.padStart(15)}\n`) }
}

/**
 * Opens an object. Whoever gets one closes its file, with `closeLater`.
 *
 * @returns `undefined` if there is no such file, or a folder of that name
 */
export async function openObject(connection, path, key, signal) {
  const file = await connection.openFile(signal, path, 'r').catch((error) => {
    if (isStatus(error, NO_SUCH_FILE)) return undefined
    throw error
  })
  if (file === undefined) return undefined
  try {
    // At the same time: on a distant server each answer takes long. Reading a folder fails.
    const [attributes, line] = await Promise.all([
      file.request(signal, 'fstat'),
      readAt(file, 0, HEADER_BYTES, signal).catch((error) => error),
    ])
    if (!attributes.isFile()) return file.closeLater()
    if (line instanceof Error) throw line
    return { file, info: infoOf(key, attributes, line.toString('latin1')) }
  } catch (error) {
    file.closeLater()
    throw error
  }
}

/** Exactly these bytes of a file. @throws StoreError `Corrupted` if it ends before */
export async function readAt(file, position, length, signal) {
  const buffer = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const rest = [buffer, done, length - done, position + done]
    const count = await file.request(signal, 'read', ...rest).catch((error) => {
      if (isStatus(error, 1)) return 0
      throw error
    })
    if (count === 0) throw new StoreError('Corrupted', 'The file is too short.', { op: 'get' })
    done += count
  }
  return buffer
}

function infoOf(key, { size, mtime }, line) {
  const [magic, version, time] = [line.slice(0, 14), line.slice(15, 31), line.slice(32, 47).trim()]
  if (magic !== MAGIC || !/^[0-9a-f]{16}$/.test(version)) {
    throw new StoreError('Corrupted', `${key} was not written by walsync-store-sftp.`, {
      op: 'get',
      key,
    })
  }
  return {
    key,
    size: size - HEADER_BYTES,
    version,
    lastModified: new Date(mtime * 1000),
    ...(time !== '' && { createdAt: new Date(Number(time)) }),
  }
}
