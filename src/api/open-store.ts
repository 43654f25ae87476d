import { BUILT_IN_BACKENDS } from '../cli/composition/built-in-backends.ts'
import { createOpenStore } from '../cli/composition/open-store.ts'
import { loadPlugins, refuseTakenSchemes } from '../cli/composition/plugins.ts'
import { type ObjectStore, PrefixedStore, type RetryOptions } from '../core/store/index.ts'

export interface OpenStoreOptions {
  /** Where credentials come from, and settings of the SDKs. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Address of the store, for S3-compatible stores and emulators. */
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  /** What all keys begin with, below the URL's own prefix: the name of a replica. */
  readonly prefix?: string | undefined
  /** Make the folder of a `file://` URL if it is not there. Default false. */
  readonly create?: boolean | undefined
  /** How long one call is tried again. */
  readonly retry?: RetryOptions | undefined
  /** Packages or modules that add kinds of stores, as `--plugin` names them. */
  readonly plugins?: readonly string[] | undefined
  /** Where relative paths start. Default: the working folder. */
  readonly cwd?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface OpenedStore extends AsyncDisposable {
  readonly store: ObjectStore
  /** Where LTX files are in this kind of store: what `ReplicaClient` is to be given. */
  readonly layout: 'ltx' | 'hex'
  /** Name of the backend or plugin. */
  readonly backend: string
  close(): Promise<void>
}

const SILENT = { debug: () => {}, warn: () => {} }

/**
 * Opens the store of a replica URL as the command line does: transient errors are retried, keys
 * start at the URL's prefix, and the layout is the one that Litestream expects there. No request is
 * sent; the SDK of the scheme is loaded.
 *
 * @param url what `-b` accepts: `s3://bucket/prefix`, `tigris://`, `gs://`, `az://`, `file://`, a path
 *   that starts with `/` or `.`, or the name of an S3 bucket
 * @throws WalsyncError `Usage` for a URL that cannot be meant, or a scheme that no backend has
 * @throws StoreError `InvalidArgument` for a URL or option that the backend refuses, or if its SDK is
 *   not installed
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<OpenedStore> {
  const { env = process.env, cwd = process.cwd(), prefix = '', create = false } = options
  const { endpoint, region, retry, signal = new AbortController().signal } = options
  const plugins = await loadPlugins(options.plugins ?? [], cwd)
  refuseTakenSchemes(plugins, BUILT_IN_BACKENDS)
  const open = createOpenStore(
    [...BUILT_IN_BACKENDS, ...plugins],
    { cwd, env, endpoint, region },
    { push: () => {} },
    SILENT,
  )
  const { store, layout, backend } = await open(url, { signal, create, retry })
  const close = () => store.close()
  return {
    store: prefix === '' ? store : new PrefixedStore(store, prefix),
    layout,
    backend,
    close,
    [Symbol.asyncDispose]: close,
  }
}
