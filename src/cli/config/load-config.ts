import { basename, resolve } from 'node:path'
import { NotReadable, readNamedFile } from '../../core/fs/index.ts'
import { UsageError } from '../args/usage-error.ts'
import type { Config } from './config.ts'
import type { Env } from './expand-env.ts'
import { parseConfig } from './parse-config.ts'

/** Which configuration a command asks for. */
export interface ConfigRequest {
  /** `--config`, from the working folder. */
  readonly file?: string | undefined
  /** `file` is from `WALSYNC_CONFIG`, so that no error shows it. */
  readonly isFromEnvironment?: boolean | undefined
  readonly cwd: string
  readonly env: Env
  /** May one of the usual names in the working folder be taken if `file` does not say otherwise? */
  readonly search: boolean
}

/**
 * Reads and checks the configuration file that is asked for.
 *
 * @returns undefined if none is, and none is found
 * @throws UsageError for a file that is named and missing, or with everything that is wrong in it
 */
export async function loadConfig(request: ConfigRequest): Promise<Config | undefined> {
  const { file, cwd, env } = request
  if (file === undefined) {
    const found = request.search ? await findConfigFile(cwd) : undefined
    return found && parseConfig(found.text, found.path, basename(found.path), env)
  }
  const path = resolve(cwd, file)
  const text = await readConfigFile(path)
  if (text === undefined) {
    throw new UsageError(
      request.isFromEnvironment
        ? 'The environment variable WALSYNC_CONFIG does not name a file that exists.'
        : `There is no configuration file ${path}.`,
      `Check the path. Without it, walsync looks for ${CONFIG_NAMES.join(', ')} in the current folder.`,
    )
  }
  return parseConfig(text, path, file, env)
}

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
async function readConfigFile(path: string): Promise<string | undefined> {
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
async function findConfigFile(
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
    return await readNamedFile(path, { maxBytes: MAX_BYTES })
  } catch (cause) {
    if (cause instanceof NotReadable) {
      throw new UsageError(`${path} ${cause.message}.`, HINTS[cause.code], { cause })
    }
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    const hint = 'Check the path, and that this user may read the file.'
    throw new UsageError(`${path} cannot be read: ${message}`, hint, { cause })
  }
}

const HINTS: Readonly<Record<NotReadable['code'], string>> = {
  EISDIR: 'Give --config the file itself.',
  EFBIG: 'Check that this is the right file. A glob replaces a long list.',
  EPIPE: 'Check the program that should write into it.',
  ENXIO: 'Give --config a file.',
}
