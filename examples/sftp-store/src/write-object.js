import { randomUUID } from 'node:crypto'
import { StoreError } from 'walsync/store'
import { HEADER_BYTES, newHeader } from './object-file.js'
import { FAILURE, isStatus, NO_SUCH_FILE } from './store-errors.js'

const STAGING = '.walsync-tmp'

/** Stages the bytes in a file that no listing shows, and gives it its name when it is complete. */
export async function writeObject(connection, root, key, body, { ifAbsent, createdAt, signal }) {
  const staged = `${root}/${STAGING}/${randomUUID()}`
  const header = newHeader(createdAt)
  try {
    const size = await stage(connection, root, staged, header.bytes, body, signal)
    signal.throwIfAborted()
    await giveName(connection, root, staged, key, ifAbsent === true)
    if (ifAbsent === true) await discard(connection, staged)
    return { size, version: header.version }
  } catch (error) {
    await discard(connection, staged)
    throw error
  }
}

async function discard(connection, staged) {
  await connection.request(undefined, 'unlink', staged).catch(() => {})
}

async function stage(connection, root, staged, header, body, signal) {
  const open = () => connection.openFile(signal, staged, 'wx')
  const file = await open().catch(async (error) => {
    if (!isStatus(error, NO_SUCH_FILE)) throw error
    await makeFolders(connection, root, `${STAGING}/x`)
    return await open()
  })
  try {
    let position = 0
    const write = async (bytes) => {
      const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      await file.request(signal, 'write', data, 0, data.length, position)
      position += data.length
    }
    let first = header
    for await (const chunk of body) {
      await write(first === undefined ? chunk : Buffer.concat([first, chunk]))
      first = undefined
    }
    if (first !== undefined) await write(first)
    await file.request(signal, 'ext_openssh_fsync')
    return position - HEADER_BYTES
  } finally {
    file.closeLater()
  }
}

/**
 * Create-only: link(2) on the server, which fails if the name exists, for whoever comes second. Not
 * the protocol's rename, which looks first on file systems without links. Otherwise rename(2), which
 * replaces the file in one step.
 */
async function giveName(connection, root, staged, key, isCreateOnly) {
  const method = isCreateOnly ? 'ext_openssh_hardlink' : 'ext_openssh_rename'
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      return await connection.request(undefined, method, staged, `${root}/${key}`)
    } catch (error) {
      if (isStatus(error, NO_SUCH_FILE)) await makeFolders(connection, root, key)
      else if (isStatus(error, FAILURE)) throw await refusal(connection, root, key, error)
      else throw error
    }
  }
  // Somebody deletes the last object of the folder again and again.
  throw new StoreError('Unavailable', `The folder of ${key} keeps vanishing.`, { op: 'put', key })
}

/** OpenSSH does not say why; what is there now does. */
async function refusal(connection, root, key, cause) {
  const found = await kindOf(connection, `${root}/${key}`)
  const about = { op: 'put', key, cause }
  if (found === 'folder') {
    return new StoreError('InvalidKey', `${key} is the folder of other objects.`, about)
  }
  if (found === 'file') {
    return new StoreError('AlreadyExists', `The object ${key} exists already.`, about)
  }
  return new StoreError('Unavailable', `${key} was deleted at the same moment.`, about)
}

/** Makes what leads to a key, but not the root: a path that is wrong, or not mounted, must not fill up. */
async function makeFolders(connection, root, key) {
  if ((await kindOf(connection, root)) !== 'folder') throw missingRoot(root, 'put')
  const segments = key.split('/').slice(0, -1)
  for (let depth = 1; depth <= segments.length; depth++) {
    const path = `${root}/${segments.slice(0, depth).join('/')}`
    await connection.request(undefined, 'mkdir', path).catch(() => {})
    if ((await kindOf(connection, path)) !== 'file') continue
    throw new StoreError('InvalidKey', `${key} is below another object.`, { op: 'put', key })
  }
}

export async function kindOf(connection, path) {
  try {
    const attributes = await connection.request(undefined, 'stat', path)
    return attributes.isDirectory() ? 'folder' : 'file'
  } catch (error) {
    if (isStatus(error, NO_SUCH_FILE)) return undefined
    throw error
  }
}

export function missingRoot(root, op) {
  return new StoreError('ContainerNotFound', `The folder ${root} does not exist on the server.`, {
    op,
    hint: 'Create it, and check that its disk is mounted.',
  })
}
