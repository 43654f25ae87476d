import type { CallOptions, ObjectStore } from './object-store.ts'
import { StoreError } from './store-error.ts'

/**
 * Opens stores for URLs of certain schemes. A plugin exports one as `provider`; so does each folder
 * of `backends`. A plain object: a plugin needs no container, decorator or base class.
 */
export interface ObjectStoreProvider {
  readonly apiVersion: 1
  /** npm name of the package, or the backend's folder: shown in errors and at start. */
  readonly name: string
  /** URL schemes without the colon, in lower case. */
  readonly schemes: readonly string[]
  /**
   * Key layout of a replica that Litestream expects on this kind of store: level folders named
   * `0000` (`hex`, S3 and its kin) or `ltx/0` (`ltx`, everything else).
   */
  readonly layout: 'ltx' | 'hex'
  /** Checks the backend's own options before `open`; throws on a bad one (a zod schema fits). */
  readonly optionsSchema?: { parse(value: unknown): unknown } | undefined
  /**
   * Refuses what `open` would refuse, and does nothing else: loads no SDK, touches no file, sends nothing.
   *
   * @throws StoreError `InvalidArgument` as `open` does
   */
  readonly validate?:
    | ((
        url: URL,
        env: Readonly<Record<string, string | undefined>>,
        options: Readonly<Record<string, unknown>>,
      ) => void)
    | undefined
  /**
   * A store rooted at the URL's path. Sends no request: call `check` for that.
   *
   * @param env where credentials may come from; the provider reads no `process.env` of its own
   * @param options the backend's options from the config file, and `signal`
   * @throws StoreError `InvalidArgument` for a URL or option that makes no sense
   */
  open(
    url: URL,
    env: Readonly<Record<string, string | undefined>>,
    options: Readonly<Record<string, unknown>> & CallOptions,
  ): Promise<ObjectStore>
}

/**
 * Checks by shape that a loaded module's `provider` is one, because a plugin is not compiled with us.
 *
 * @param source where it came from, for the message: a package name or a path
 * @throws StoreError `InvalidArgument` that names the source and the first bad field
 */
export function assertProvider(
  value: unknown,
  source: string,
): asserts value is ObjectStoreProvider {
  const problem = providerProblem(value)
  if (problem === undefined) return
  throw new StoreError('InvalidArgument', `The store plugin ${source} ${problem}.`, {
    op: 'open',
    hint: 'A plugin exports `provider`: { apiVersion: 1, name, schemes, layout, open }.',
  })
}

const SCHEME = /^[a-z][a-z0-9+.-]*$/

function providerProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'exports no `provider` object'
  const { apiVersion, name, schemes, layout, optionsSchema, open } = value as Partial<
    Record<keyof ObjectStoreProvider, unknown>
  >
  if (apiVersion !== 1) {
    return `has \`apiVersion\` ${JSON.stringify(apiVersion)}, this version of walsync knows 1`
  }
  if (typeof name !== 'string' || name === '') return 'has no `name`'
  if (!Array.isArray(schemes) || schemes.length === 0) return 'has no `schemes`'
  const bad = schemes.find((scheme) => typeof scheme !== 'string' || !SCHEME.test(scheme))
  if (bad !== undefined)
    return `has ${JSON.stringify(bad)} in \`schemes\`, expected names like "s3"`
  if (layout !== 'ltx' && layout !== 'hex') return 'has no `layout` of "ltx" or "hex"'
  if (optionsSchema !== undefined && !hasParse(optionsSchema)) {
    return 'has an `optionsSchema` without `parse`'
  }
  if (typeof open !== 'function') return 'has no function `open`'
  return undefined
}

function hasParse(value: unknown): boolean {
  return typeof (value as { parse?: unknown } | null)?.parse === 'function'
}
