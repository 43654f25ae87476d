import { type Env, invalidOption, nonEmpty } from './settings.ts'

const PROXIES = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy'] as const
const EXCEPTIONS = ['NO_PROXY', 'no_proxy'] as const

/** The option `proxyEnv` of Node's `http.Agent`; lower case takes precedence over upper case. */
export type ProxyEnv = Readonly<Record<string, string>>

/**
 * The proxies that the environment names; `undefined` for none. Nothing is exempt by default, not
 * even loopback addresses; use `NO_PROXY`.
 *
 * @throws StoreError `InvalidArgument` for anything but an http:// or https:// URL, or host:port: a
 *   single word would pass for a host name and its requests fail one by one. The value is not
 *   repeated, because it may contain a password
 */
export function proxyEnv(env: Env): ProxyEnv | undefined {
  const found: Record<string, string> = {}
  for (const name of PROXIES) {
    const value = nonEmpty(env[name])
    if (value === undefined) continue
    // Like curl and others, takes a proxy without a scheme for an HTTP proxy.
    const url = value.includes('://') ? value : `http://${value}`
    if (!isProxyUrl(url) || (url !== value && !/:\d+\/?$/.test(value))) {
      throw invalidOption(
        `The environment variable ${name} does not name a usable proxy.`,
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
  return url !== null && url.port !== '0' && (url.protocol === 'http:' || url.protocol === 'https:')
}
