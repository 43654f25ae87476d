import type { ProxyEnv } from './proxy-env.ts'

/** The other end of a request. Noted on the request's error, because Node's own seldom names it. */
export interface Peer {
  readonly secure: boolean
  /** Without brackets around an IPv6 address. */
  readonly hostname: string
  readonly port: number
  /** The proxy for requests like this one, if `NO_PROXY` does not exempt the host. */
  readonly proxy?: PeerProxy | undefined
}

export interface PeerProxy {
  /** The environment variable that names it. */
  readonly variable: string
  readonly hostname: string
  readonly port: number
}

const PEER = Symbol('peer')

/** The error itself, with the other end of its request noted for `peerOf`. */
export function withPeer<T>(error: T, peer: Peer): T {
  if (error instanceof Error)
    Object.defineProperty(error, PEER, { value: peer, configurable: true })
  return error
}

export function peerOf(error: object): Peer | undefined {
  return (error as { readonly [PEER]?: Peer })[PEER]
}

/** The other end of a request to this URL. */
export function peerAt(url: URL, proxies: ProxyEnv | undefined): Peer {
  return { secure: url.protocol === 'https:', ...endOf(url), proxy: proxyFor(url, proxies) }
}

/** `host:port`, as it goes into a URL. */
export function hostAndPort({ hostname, port }: { hostname: string; port: number }): string {
  return `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`
}

function proxyFor(url: URL, proxies: ProxyEnv | undefined): PeerProxy | undefined {
  const scheme = url.protocol.slice(0, -1)
  for (const variable of [`${scheme}_proxy`, `${scheme.toUpperCase()}_PROXY`]) {
    const proxy = proxies?.[variable]
    if (proxy !== undefined) return { variable, ...endOf(new URL(proxy)) }
  }
  return undefined
}

function endOf(url: URL): { hostname: string; port: number } {
  const standard = url.protocol === 'https:' ? 443 : 80
  return {
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? standard : Number(url.port),
  }
}
