import { hostAndPort, type Peer, type PeerProxy } from './peer.ts'

/** The fields of Node's errors of sockets, name look-ups and tunnels. */
export interface ConnectionError {
  readonly code?: unknown
  readonly message?: unknown
  readonly address?: unknown
  readonly port?: unknown
  readonly hostname?: string | undefined
  readonly statusCode?: unknown
}

/** What to do about a connection that failed: names the host and port that were tried. */
export function connectionHint(error: ConnectionError, peer: Peer | undefined): string | undefined {
  const proxy = peer?.proxy
  if (peer !== undefined && proxy !== undefined && failedAtProxy(error, peer, proxy)) {
    return proxyHint(error, peer, proxy)
  }
  const place = placeOf(error, peer)
  const name = error.hostname ?? peer?.hostname ?? 'of the service'
  const also =
    proxy === undefined
      ? ''
      : ` The environment variable ${proxy.variable} names a proxy, ${hostAndPort(proxy)}: check it as well.`
  switch (error.code) {
    case 'ECONNREFUSED':
      return `Nothing accepts connections at ${place}. Is the server running, and is the endpoint right?`
    case 'ENOTFOUND':
      return `The host name ${name} is unknown. Check the spelling of the endpoint, region or account, and the DNS of this machine.`
    case 'EAI_AGAIN':
      return `The host name ${name} could not be looked up. Check the endpoint, and the network and DNS of this machine.`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `There is no route from this machine to ${place}. Check its network and firewall, and the endpoint.`
    case 'ETIMEDOUT':
      return `${capitalized(place)} did not answer in time. Check the endpoint, and the network and firewalls on the way.${also}`
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
      return `The connection to ${place} broke off. Check the log of the server, what is on the way, and whether the endpoint should be http:// or https://.${also}`
  }
  if (speaksNoTls(error)) {
    return `${capitalized(place)} does not speak TLS. If it speaks plain HTTP, write the endpoint with http://.`
  }
  if (String(error.code).startsWith('HPE_')) {
    return `${capitalized(place)} does not speak HTTP. Check the port of the endpoint, and whether it should be http:// or https://.${also}`
  }
  return undefined
}

/** Does a plain server answer where TLS was expected? Another attempt would meet the same one. */
export function speaksNoTls({ code, message }: ConnectionError): boolean {
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return true
  return code === 'EPROTO' && String(message).includes('wrong version number')
}

function proxyHint(error: ConnectionError, peer: Peer, proxy: PeerProxy): string {
  const { variable } = proxy
  const place = hostAndPort(proxy)
  const check = `Check the environment variable ${variable}, which names it.`
  switch (error.code) {
    case 'ERR_PROXY_TUNNEL':
      return error.statusCode === 407
        ? `The proxy ${place} asks for a user and a password. Put them into the environment variable ${variable}, in front of the host and with an @ between.`
        : `The proxy ${place} did not open a connection to ${hostAndPort(peer)}. Check its rules and its log, or exempt the host with NO_PROXY.`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The host name of the proxy, ${proxy.hostname}, is unknown. ${check}`
    case 'ECONNREFUSED':
      return `Nothing accepts connections at the proxy ${place}. Is it running? ${check}`
    default:
      return `The proxy ${place} cannot be reached. ${check}`
  }
}

/** Node's errors name the end that they are about, but not which of the two it is. */
function failedAtProxy(error: ConnectionError, peer: Peer, proxy: PeerProxy): boolean {
  if (error.code === 'ERR_PROXY_TUNNEL') return true
  if (error.hostname !== undefined) return error.hostname === proxy.hostname
  if (error.port === undefined) return false
  return error.port === proxy.port && (error.port !== peer.port || error.address === proxy.hostname)
}

function placeOf({ address, port }: ConnectionError, peer: Peer | undefined): string {
  if (peer !== undefined) return hostAndPort(peer)
  const known = typeof address === 'string' && typeof port === 'number'
  return known ? hostAndPort({ hostname: address, port }) : 'the service'
}

/** For the start of a sentence: a host name keeps its letters. */
function capitalized(place: string): string {
  return place.startsWith('the ') ? `T${place.slice(1)}` : place
}
