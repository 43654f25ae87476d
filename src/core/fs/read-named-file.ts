import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

export interface ReadNamedFileOptions {
  /** More is refused. */
  readonly maxBytes: number
  /** How long a pipe that nobody has open for writing may stay empty, in milliseconds. Default 5,000. */
  readonly writerMs?: number | undefined
  /** How long the writer of a pipe may be silent, in milliseconds. Default 60,000. */
  readonly silenceMs?: number | undefined
}

/** Why a file that exists is not read. The message goes after its path. */
export class NotReadable extends Error {
  readonly code: 'EISDIR' | 'EFBIG' | 'EPIPE' | 'ENXIO'

  constructor(code: NotReadable['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'NotReadable'
    this.code = code
  }
}

/**
 * Reads a whole file that a user has named: a regular one, a pipe such as `<(command)` makes, or a
 * device. Never waits without end, as opening a pipe without a writer would, and without a bound.
 *
 * @throws NotReadable for a folder, a socket, a file that is too long, or a pipe into which nothing
 *   is written; Node's own error for anything else, such as `ENOENT`
 */
export async function readNamedFile(
  path: string,
  { maxBytes, writerMs = 5000, silenceMs = 60_000 }: ReadNamedFileOptions,
): Promise<Buffer> {
  await using file = await openWithoutWaiting(path)
  const stats = await file.stat()
  if (stats.isDirectory()) throw new NotReadable('EISDIR', 'is a folder')
  const chunks: Buffer[] = []
  let length = 0
  let silentSince = performance.now()
  while (true) {
    const chunk = await readChunk(file)
    if (chunk !== undefined && chunk.length > 0) {
      length += chunk.length
      if (length > maxBytes) throw new NotReadable('EFBIG', `is longer than ${maxBytes} bytes`)
      chunks.push(chunk)
      silentSince = performance.now()
      continue
    }
    // An empty pipe ends at once as long as nobody has opened it for writing.
    const isOver = chunk !== undefined && (length > 0 || !stats.isFIFO())
    if (isOver) return Buffer.concat(chunks)
    const silentMs = performance.now() - silentSince
    if (silentMs > (chunk === undefined ? silenceMs : writerMs)) {
      throw new NotReadable('EPIPE', 'is a pipe into which nothing is written')
    }
    await delay(PAUSE_MS)
  }
}

const PAUSE_MS = 20
const CHUNK_BYTES = 64 * 1024

async function openWithoutWaiting(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENXIO') throw cause
    throw new NotReadable('ENXIO', 'is a socket, or a device without a driver', cause)
  }
}

/** @returns `undefined` if there is nothing to read yet */
async function readChunk(file: FileHandle): Promise<Buffer | undefined> {
  try {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES)
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined
    throw error
  }
}
