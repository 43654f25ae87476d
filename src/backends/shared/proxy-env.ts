import { type Env, invalidOption, nonEmpty } from './settings.ts'

const PROXIES = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy'] as const
const EXCEPTIONS = ['NO_PROXY', 'no_proxy'] as const

/** What an `http.Agent` of Node reads of its option `proxyEnv`; lower case wins over upper case. */
export type ProxyEnv = Readonly<Record<string, string>>

/**
 * The proxies that the environment names; `undefined` for none. Nothing is exempt by itself, not
 * even the loopback addresses: `NO_PROXY` says what is.
 *
 * @throws StoreError `InvalidArgument` for what is no http:// or https:// URL; the value, which may hold a password, is not repeated
 */
export function proxyEnv(env: Env): ProxyEnv | undefined {
  const found: Record<string, string> = {}
  for (const name of PROXIES) {
    const value = nonEmpty(env[name])
    if (value === undefined) continue
    // curl and others take a proxy without a scheme for an HTTP one.
    const url = value.includes('://') ? value : `http://${value}`
    if (!isProxyUrl(url)) {
      throw invalidOption(
        `The environment variable ${name} names no proxy that can be used.`,
        'Write http://host:port; SOCKS proxies are not supported.',
      )
    }
    found[name] = url
  }
  if (Object.keys(found).length === 0) return undefined
  for (const name of EXCEPTIONS) {
    const value = nonEmpty(env[name])
    if (value !== undefined) found[name] = value
  }
  return found
}

function isProxyUrl(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && (url.protocol === 'http:' || url.protocol === 'https:')
}
