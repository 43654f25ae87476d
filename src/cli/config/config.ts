import type { RawSettings } from '../args/database-settings.ts'
import type { LogFormat, LogLevel } from '../args/setting-lookup.ts'

/** A configuration file that was found good. Paths are absolute: what the file writes starts from its own folder. */
export interface Config {
  readonly path: string
  /** The file as messages call it. */
  readonly label: string
  readonly bucket?: string | undefined
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  readonly plugins: readonly string[]
  readonly logLevel?: LogLevel | undefined
  readonly logFormat?: LogFormat | undefined
  readonly socket?: string | undefined
  readonly status?: boolean | undefined
  readonly http?: string | undefined
  readonly httpTokenFile?: string | undefined
  readonly maxLag?: string | undefined
  readonly heartbeatUrl?: string | undefined
  readonly heartbeatInterval?: string | undefined
  readonly webhookUrl?: string | undefined
  readonly webhookSecret?: string | undefined
  readonly probe?: boolean | undefined
  readonly shutdownTimeout?: string | undefined
  /** For every database. */
  readonly settings: RawSettings
  /** `undefined` if the file does not say what to replicate. */
  readonly databases: readonly ConfigDatabase[] | undefined
}

/** One of the file's `databases`. */
export interface ConfigDatabase {
  readonly where: DatabasePlace
  /** Prefix of the replica; only with a path. */
  readonly name?: string | undefined
  /** What the prefixes of the replicas begin with, without a slash at the end. */
  readonly prefix?: string | undefined
  readonly bucket?: string | undefined
  readonly settings: RawSettings
  /** `walsync.yml:12`, for messages. */
  readonly at: string
}

/** Which files are meant. */
export type DatabasePlace =
  | { readonly kind: 'path'; readonly path: string }
  /** `pattern` is matched against paths under `base`, with `/` between their parts. */
  | { readonly kind: 'glob'; readonly base: string; readonly pattern: string }
  | { readonly kind: 'folder'; readonly base: string; readonly recursive: boolean }
