import { type ProxyEnv, proxyEnv } from '../shared/proxy-env.ts'
import {
  type Env,
  invalidOption,
  nonEmpty,
  parseEndpointUrl,
  parsePrefix,
  Settings,
} from '../shared/settings.ts'

/** Options of an Azure store. */
export interface AzureOptions {
  readonly container: string
  /** Blob name prefix without a slash at its ends; empty for the whole container. */
  readonly prefix: string
  readonly access: AzureAccess
  /** Size of one block, and the largest body sent in one request, in bytes. Default 8 MiB. */
  readonly partBytes: number
  /** Entries per page of a listing. Default and maximum 1,000. */
  readonly pageSize: number
  /** Maximum number of connections of this store. Default 32. */
  readonly maxSockets: number
  /** Longest silence on a connection, sending or receiving, in milliseconds. Default 60,000. */
  readonly timeoutMs: number
  /** Proxies for outgoing connections; `undefined`: none. */
  readonly proxyEnv?: ProxyEnv | undefined
}

/**
 * Where the account is and how to authenticate. `identity` is the default credential of
 * `@azure/identity`.
 */
export type AzureAccess =
  | { readonly kind: 'connectionString'; readonly connectionString: string }
  | {
      readonly kind: 'key'
      readonly endpoint: URL
      readonly account: string
      readonly accountKey: string
    }
  | { readonly kind: 'sas'; readonly endpoint: URL; readonly sasToken: string }
  | { readonly kind: 'identity'; readonly endpoint: URL }

const NAMES = {
  store: 'An Azure store',
  inUrl: ['account', 'endpoint'],
  optionOnly: ['partBytes', 'pageSize', 'maxSockets', 'timeoutMs'],
}

/**
 * Reads `az://container/prefix` and `abs://container/prefix`; the account may come before the
 * container (`abs://account@container/prefix`, as Litestream writes it) or in `?account=`.
 * Environment: `AZURE_STORAGE_CONNECTION_STRING`, or `AZURE_STORAGE_ACCOUNT` with
 * `AZURE_STORAGE_KEY` or `AZURE_STORAGE_SAS_TOKEN` or neither. A connection string is used unless
 * the URL names another account.
 *
 * @throws StoreError `InvalidArgument`
 */
export function parseAzureOptions(
  url: URL,
  env: Env,
  options: Readonly<Record<string, unknown>>,
): AzureOptions {
  if (url.password !== '') {
    throw invalidOption('A store URL must not hold credentials.', 'Set AZURE_STORAGE_KEY.')
  }
  if (url.host === '') {
    throw invalidOption('The URL names no container.', 'Write az://container/prefix.')
  }
  const settings = new Settings(url, options, NAMES)
  const proxy = proxyEnv(env)
  return {
    container: url.host,
    prefix: parsePrefix(url),
    access: parseAccess(settings, nonEmpty(url.username), env),
    partBytes: settings.count('partBytes', 8 * 1024 * 1024, 1024),
    pageSize: Math.min(1000, settings.count('pageSize', 1000, 1)),
    maxSockets: settings.count('maxSockets', 32, 1),
    timeoutMs: settings.count('timeoutMs', 60_000, 1),
    ...(proxy === undefined ? {} : { proxyEnv: proxy }),
  }
}

function parseAccess(settings: Settings, inUrl: string | undefined, env: Env): AzureAccess {
  const named = settings.text('account') ?? inUrl
  const given = settings.text('endpoint')
  const connectionString = nonEmpty(env.AZURE_STORAGE_CONNECTION_STRING)
  if (connectionString !== undefined && given === undefined && fits(connectionString, named)) {
    return { kind: 'connectionString', connectionString }
  }
  const account = named ?? nonEmpty(env.AZURE_STORAGE_ACCOUNT)
  if (account === undefined) {
    throw invalidOption(
      'The Azure storage account is unknown.',
      'Write az://container?account=NAME, or set AZURE_STORAGE_ACCOUNT or AZURE_STORAGE_CONNECTION_STRING.',
    )
  }
  const endpoint = parseEndpointUrl(given ?? `https://${account}.blob.core.windows.net`)
  const accountKey = nonEmpty(env.AZURE_STORAGE_KEY)
  if (accountKey !== undefined) {
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(accountKey)) {
      throw invalidOption(
        'AZURE_STORAGE_KEY is not an account key: it is not Base64.',
        'Copy one of the two keys from the portal: Access keys, Key.',
      )
    }
    return { kind: 'key', endpoint, account, accountKey }
  }
  const sasToken = nonEmpty(env.AZURE_STORAGE_SAS_TOKEN)
  if (sasToken !== undefined) return { kind: 'sas', endpoint, sasToken }
  return { kind: 'identity', endpoint }
}

function fits(connectionString: string, named: string | undefined): boolean {
  if (named === undefined) return true
  const account = /(?:^|;)\s*AccountName=([^;]*)/i.exec(connectionString)?.[1]
  return account === undefined || account === named
}
