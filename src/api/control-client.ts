import type { Duplex } from 'node:stream'
import { fromReport, type ReportedError } from './replication-error.ts'
import { readLines } from './walsync-process.ts'

/** The process ended before it answered; another one may. */
export class LinkClosed extends Error {}

interface Waiter {
  resolve(result: object): void
  reject(error: unknown): void
}

interface Answer {
  readonly id?: unknown
  readonly result?: object
  readonly error?: ReportedError
}

/** Requests to one walsync process by the control protocol (docs/reference/control-protocol.md). */
export class ControlClient {
  readonly #link: Duplex
  readonly #waiting = new Map<number, Waiter>()
  #lastId = 0

  constructor(link: Duplex) {
    this.#link = link
    readLines(link, (line) => this.#take(line as Answer))
    link.once('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new LinkClosed())
      this.#waiting.clear()
    })
  }

  /** @throws ReplicationError that the process answers; LinkClosed; the reason of the signal */
  async request(method: string, params: object, signal?: AbortSignal): Promise<object> {
    signal?.throwIfAborted()
    if (this.#link.destroyed || !this.#link.writable) throw new LinkClosed()
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<object>()
    this.#waiting.set(id, { resolve, reject })
    const abort = () => {
      this.#send({ id: ++this.#lastId, method: 'cancel', params: { id } })
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', abort, { once: true })
    this.#send({ id, method, params })
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#waiting.delete(id)
    }
  }

  #send(request: object): void {
    if (this.#link.writable) this.#link.write(`${JSON.stringify({ v: 1, ...request })}\n`)
  }

  #take({ id, result, error }: Answer): void {
    const waiter = this.#waiting.get(Number(id))
    if (error !== undefined) waiter?.reject(fromReport(error))
    else waiter?.resolve(result ?? {})
  }
}
