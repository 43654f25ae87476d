import type { CallOptions, ObjectStore } from './object-store.ts'
import { StoreError } from './store-error.ts'

/** The version of `ObjectStoreProvider` and of the contract of its stores. */
export const PROVIDER_API_VERSION = 2

/**
 * Opens stores for URLs of certain schemes. A plugin exports one as `provider`; so does each folder
 * of `backends`. It is a plain object, without a container, decorators or a base class.
 */
export interface ObjectStoreProvider {
  /**
   * Version 2: stores are made from drivers (`DriverStore`). Version 1, with hand-written stores,
   * was never released.
   */
  readonly apiVersion: typeof PROVIDER_API_VERSION
  /** npm name of the package, or the backend's folder. Shown in errors and at startup. */
  readonly name: string
  /** URL schemes without the colon, in lower case. */
  readonly schemes: readonly string[]
  /**
   * The key layout that Litestream expects on this kind of store: level folders named `0000` (`hex`,
   * S3 and compatible services) or `ltx/0` (`ltx`, everything else).
   */
  readonly layout: 'ltx' | 'hex'
  /** Checks the backend's own options before `open` and throws on a bad one. A zod schema fits. */
  readonly optionsSchema?: { parse(value: unknown): unknown } | undefined
  /**
   * Refuses what `open` would refuse, and does nothing else: loads no SDK, touches no file, sends
   * no request.
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
   * Opens a store rooted at the URL's path, without sending a request; `check` does that. Usually
   * `new DriverStore(driver)`; any other `ObjectStore` that passes the contract suite will do.
   *
   * @param env where credentials may come from; a provider must not read `process.env` itself
   * @param options the backend's options from the config file, and `signal`
   * @throws StoreError `InvalidArgument` for a URL or option that is not valid
   */
  open(
    url: URL,
    env: Readonly<Record<string, string | undefined>>,
    options: Readonly<Record<string, unknown>> & CallOptions,
  ): Promise<ObjectStore>
}

/**
 * Checks the shape of a loaded module's `provider`, because a plugin is not compiled with walsync.
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
    hint: 'A plugin exports `provider`: { apiVersion: 2, name, schemes, layout, open }.',
  })
}

const SCHEME = /^[a-z][a-z0-9+.-]*$/

function providerProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'exports no `provider` object'
  const { apiVersion, name, schemes, layout, optionsSchema, open } = value as Partial<
    Record<keyof ObjectStoreProvider, unknown>
  >
  if (apiVersion !== PROVIDER_API_VERSION) {
    return `has \`apiVersion\` ${JSON.stringify(apiVersion)}, but this version of walsync needs ${PROVIDER_API_VERSION}`
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
