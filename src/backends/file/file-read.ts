import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { giveAway, type ObjectInfo, StoreError } from '../../core/store/index.ts'
import { errnoOf } from './file-errors.ts'
import { fileVersion } from './file-info.ts'

const CHUNK_BYTES = 256 * 1024

export interface OpenedFile {
  readonly handle: FileHandle
  readonly stats: BigIntStats
}

/**
 * Opens a regular file; `undefined` if there is none with this name. O_NOFOLLOW refuses links, and
 * O_NONBLOCK keeps a named pipe without a writer from blocking the open (open(2)).
 */
export async function openFile(path: string): Promise<OpenedFile | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  let handle: FileHandle
  try {
    handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    const errno = errnoOf(error)
    // ENXIO: a socket.
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errno ?? '')) return undefined
    throw error
  }
  try {
    const stats = await handle.stat({ bigint: true })
    if (stats.isFile()) return { handle, stats }
  } catch (error) {
    await handle.close()
    throw error
  }
  await handle.close()
  return undefined
}

/** Bytes `start` to `end` of an open file, in one array. */
export async function readRange(
  handle: FileHandle,
  info: ObjectInfo,
  start: number,
  end: number,
): Promise<Uint8Array> {
  // Not zeroed first: it is returned only when every byte has been read.
  const bytes: Uint8Array = giveAway(Buffer.allocUnsafeSlow(end - start))
  let done = 0
  while (done < bytes.byteLength) {
    const { bytesRead } = await handle.read(bytes, done, bytes.byteLength - done, start + done)
    if (bytesRead === 0) throw cutShort(info)
    done += bytesRead
  }
  return bytes
}

/**
 * The same in chunks. The file is opened when the first chunk is requested, so that a body that is
 * never read holds no descriptor. It is an error if another file has this name by then.
 */
export async function* streamRange(
  path: string,
  info: ObjectInfo,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const file = await openFile(path)
  try {
    if (file === undefined || fileVersion(file.stats) !== info.version) throw replaced(info)
    for (let at = start; at < end; at += CHUNK_BYTES) {
      signal.throwIfAborted()
      yield await readRange(file.handle, info, at, Math.min(at + CHUNK_BYTES, end))
    }
  } finally {
    await file?.handle.close()
  }
}

function cutShort(info: ObjectInfo): StoreError {
  return new StoreError('Corrupted', `The file of ${info.key} is shorter than its size said.`, {
    op: 'get',
    key: info.key,
    hint: 'Another program is writing to the folder.',
  })
}

function replaced(info: ObjectInfo): StoreError {
  const message = `The object ${info.key} was replaced or deleted before its body was read.`
  return new StoreError('Unavailable', message, { op: 'get', key: info.key })
}
