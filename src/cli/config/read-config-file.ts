import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { UsageError } from '../args/usage-error.ts'

/** A longer file is no configuration: 10,000 databases fit into it. */
const MAX_BYTES = 1_000_000

/** What is looked for in the working folder, in this order. */
export const CONFIG_NAMES = ['walsync.yml', 'walsync.yaml', 'walsync.json'] as const

/**
 * The text of a configuration file, without a byte order mark.
 *
 * @returns undefined if there is no such file
 * @throws UsageError if it cannot be read, is too long, or is no UTF-8 text
 */
export async function readConfigFile(path: string): Promise<string | undefined> {
  const bytes = await readBytes(path)
  if (bytes === undefined) return undefined
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
  try {
    if (!utf16) return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // Falls through to the same error.
  }
  throw new UsageError(
    `${path} is not UTF-8 text${utf16 ? ' but UTF-16' : ''}.`,
    'Save the file as UTF-8.',
  )
}

/** The first of the usual names that exists in a folder, and its text. */
export async function findConfigFile(
  cwd: string,
): Promise<{ readonly path: string; readonly text: string } | undefined> {
  for (const name of CONFIG_NAMES) {
    const path = resolve(cwd, name)
    const text = await readConfigFile(path)
    if (text !== undefined) return { path, text }
  }
  return undefined
}

async function readBytes(path: string): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path)
    const stat = await file.stat()
    if (!stat.isDirectory()) return await readBounded(file.createReadStream(), path)
  } catch (cause) {
    if (cause instanceof UsageError) throw cause
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    const hint = 'Check the path, and that this user may read the file.'
    throw new UsageError(`${path} cannot be read: ${message}`, hint, { cause })
  }
  throw new UsageError(`${path} is a folder.`, 'Give --config the file itself.')
}

/** Counted while read: a pipe or a device has no size. */
async function readBounded(chunks: AsyncIterable<Uint8Array>, path: string): Promise<Uint8Array> {
  const read: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunks) {
    read.push(chunk)
    length += chunk.length
    if (length > MAX_BYTES) {
      const message = `${path} is longer than ${MAX_BYTES} bytes, which no configuration is.`
      throw new UsageError(
        message,
        'Check that this is the right file. A glob replaces a long list.',
      )
    }
  }
  return Buffer.concat(read)
}
