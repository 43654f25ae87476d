import { hideSecret } from '../output/redact.ts'

/** What is sent in one request. */
export interface Message {
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** So long an answer is waited for, in milliseconds. */
const TIMEOUT_MS = 10_000

/**
 * A URL that is told something. The URL may let everybody in who knows it: only its host is ever
 * shown, and from now on no output holds the rest.
 */
export class Receiver {
  /** `https://host/…`. */
  readonly shown: string
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>

  /** @param url a user name and a password in it are sent as basic authentication */
  constructor(url: URL) {
    const bare = new URL(url)
    bare.username = ''
    bare.password = ''
    this.#url = bare.href
    this.#headers = { 'User-Agent': 'walsync', ...basicAuth(url) }
    const isRoot = bare.pathname === '/' && bare.search === ''
    this.shown = `${bare.origin}${isRoot ? '/' : '/…'}`
    for (const secret of [url.href, bare.href, bare.pathname + bare.search]) hideSecret(secret)
  }

  /**
   * Sends one message; an answer with a status of 200 to 299 means that it was received.
   *
   * @param signal aborted: the message counts as not received
   * @returns why it was not received, without the URL; undefined if it was
   */
  async send(message: Message, signal: AbortSignal): Promise<string | undefined> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS)
    try {
      const response = await fetch(this.#url, {
        ...message,
        headers: { ...this.#headers, ...message.headers },
        // A POST that is redirected would arrive as a GET.
        redirect: 'manual',
        signal: AbortSignal.any([signal, timeout]),
      })
      await response.body?.cancel()
      return response.ok ? undefined : refused(response.status)
    } catch (error) {
      if (timeout.aborted) return `it did not answer within ${TIMEOUT_MS / 1000} s`
      return signal.aborted ? 'walsync ended before it answered' : reasonOf(error)
    }
  }
}

function basicAuth({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const pair = `${decoded(username)}:${decoded(password)}`
  return { Authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** A `%` that begins no escape stands for itself: passwords are pasted as they are. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function refused(status: number): string {
  const isRedirect = status >= 300 && status < 400
  return `it answered ${status}${isRedirect ? ', a redirect; give the URL that it leads to' : ''}`
}

/** Fetch says "fetch failed" of everything; its cause says what. */
function reasonOf(error: unknown): string {
  const { cause = error } = error as Error
  const { message, code } = cause as Error & { code?: unknown }
  // All addresses of a name were tried, and the error has no message of its own.
  if (message === '' && cause instanceof AggregateError) return reasonOf(cause.errors[0])
  return message === '' ? String(code) : message
}
