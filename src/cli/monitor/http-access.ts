import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { NotReadable, readNamedFile } from '../../core/fs/index.ts'
import { UsageError } from '../args/usage-error.ts'

/** Where the monitor listens, and who may ask it. */
export interface HttpAccess {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Without one everybody who reaches a loopback address may ask. */
  readonly token: string | undefined
}

/** A shorter token could be guessed. */
const MIN_TOKEN = 16

/**
 * Reads `--http`: `9090`, `:9090`, `127.0.0.1:9090`, `[::1]:9090` or `localhost:9090`. A port alone
 * is on the loopback address.
 *
 * @param token what a client has to know
 * @throws UsageError for an address that is none, or one beyond this machine without a token
 */
export function httpAccess(address: string, token: string | undefined): HttpAccess {
  const match = /^(?:(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]*)):)?(\d{1,5})$/i.exec(address)
  const port = Number(match?.[3])
  const host = match?.[1] ?? (match?.[2] || '127.0.0.1')
  if (match === null || port > 65_535 || (match[1] !== undefined && isIP(host) !== 6)) {
    const message = `--http got ${JSON.stringify(address)}, which is not an address and a port.`
    throw new UsageError(message, 'Give --http 127.0.0.1:9090, or a port alone.')
  }
  if (token !== undefined && token.length < MIN_TOKEN) {
    const message = `The token for --http has fewer than ${MIN_TOKEN} characters.`
    throw new UsageError(message, 'Make one with: openssl rand -hex 32')
  }
  if (token === undefined && !isLoopback(host)) {
    const message = `--http ${address} can be reached from other machines, and there is no token.`
    const hint = 'Set WALSYNC_HTTP_TOKEN or --http-token-file, or listen on 127.0.0.1.'
    throw new UsageError(message, hint)
  }
  return { host, port, token }
}

/** The token in a file, without white space around it. @throws UsageError */
export async function readTokenFile(file: string): Promise<string> {
  try {
    return (await readNamedFile(file, { maxBytes: MAX_TOKEN_FILE })).toString('utf8').trim()
  } catch (cause) {
    const { message } = cause as Error
    const what = cause instanceof NotReadable ? message : `cannot be read: ${message}`
    throw new UsageError(`The token file ${file} ${what}.`, 'Check --http-token-file.', { cause })
  }
}

const MAX_TOKEN_FILE = 64 * 1024

/**
 * May this request be answered?
 *
 * A page of another site can make a browser send requests to a loopback address, under a name of its
 * own that resolves there: without a token only loopback names are answered.
 *
 * @returns the status code of the refusal
 */
export function refusal(
  request: Pick<IncomingMessage, 'headers'>,
  { token }: HttpAccess,
): 401 | 403 | undefined {
  if (token === undefined) return isLoopbackHost(request.headers.host) ? undefined : 403
  const { authorization = '' } = request.headers
  const [scheme = '', value = ''] = authorization.split(' ')
  // Browsers ask their user for a password, and scrapers can be given one: the user name is ignored.
  const given =
    scheme.toLowerCase() === 'basic'
      ? Buffer.from(value, 'base64')
          .toString('utf8')
          .replace(/^[^:]*:/, '')
      : scheme.toLowerCase() === 'bearer'
        ? value
        : ''
  return isEqual(given, token) ? undefined : 401
}

function isEqual(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest())
  return timingSafeEqual(left as Buffer, right as Buffer)
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

function isLoopbackHost(header: string | undefined): boolean {
  const name = header?.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return name !== undefined && isLoopback(name.toLowerCase())
}
