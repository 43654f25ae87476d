import { basename, resolve } from 'node:path'
import { UsageError } from '../args/usage-error.ts'
import type { Config } from './config.ts'
import type { Env } from './expand-env.ts'
import { parseConfig } from './parse-config.ts'
import { CONFIG_NAMES, findConfigFile, readConfigFile } from './read-config-file.ts'

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
