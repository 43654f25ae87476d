import { createHmac } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Backoff } from '../../core/async/backoff.ts'
import { jsonLine } from '../output/json-line.ts'
import type { Logger } from '../output/logger.ts'
import { DeliveryLog } from './delivery-log.ts'
import type { Notice } from './notice.ts'
import type { Receiver } from './receiver.ts'

export interface WebhookParts {
  readonly receiver: Receiver
  /** Signs the messages. */
  readonly key: Buffer | undefined
  readonly logger: Logger
  /** The first pause after a failure; each is twice as long as the one before. Default 1,000 ms. */
  readonly firstPauseMs?: number | undefined
}

/** Notices that wait at the same time. Beyond that the oldest ones are dropped. */
const MAX_WAITING = 100
/** With the pauses between them about six minutes. */
const MAX_TRIES = 10
const FIRST_PAUSE_MS = 1000
const MAX_PAUSE_MS = 120_000

/** Sends notices one after the other, each again and again until it arrives or is given up. */
export class Webhook {
  readonly #parts: WebhookParts
  readonly #log: DeliveryLog
  readonly #waiting: Notice[] = []
  readonly #counts = { delivered: 0, failed: 0, dropped: 0 }
  /** Ends pauses, not requests. */
  readonly #hurry = new AbortController()
  readonly #end = new AbortController()
  /** Lost notices that none that has arrived speaks of. */
  #lost = 0
  #running: Promise<void> | undefined

  constructor(parts: WebhookParts) {
    this.#parts = parts
    this.#log = new DeliveryLog(parts.logger, 'webhook messages', parts.receiver.shown)
  }

  /** Notices so far. `failed`: given up after all tries. `dropped`: too many waited, or the process ended. */
  get counts(): Readonly<Record<'delivered' | 'failed' | 'dropped', number>> {
    return this.#counts
  }

  add(notice: Notice): void {
    this.#waiting.push(notice)
    // The first one may be on its way.
    if (this.#waiting.length > MAX_WAITING) this.#drop(this.#waiting.splice(1, 1))
    this.#running ??= this.#sendAll().finally(() => {
      this.#running = undefined
    })
  }

  /** Sends what waits without pauses, each once, and gives up the rest after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#hurry.abort()
    const timer = setTimeout(() => this.#end.abort(), graceMs)
    await this.#running
    clearTimeout(timer)
    this.#drop(this.#waiting.splice(0))
  }

  async #sendAll(): Promise<void> {
    for (let notice = this.#waiting[0]; notice !== undefined; notice = this.#waiting[0]) {
      // More can be lost while this one is on its way: only those that it speaks of are told by it.
      const lostBefore = this.#lost
      const reason = await this.#send(notice, lostBefore)
      if (this.#end.signal.aborted) return
      this.#waiting.shift()
      if (reason === undefined) {
        this.#counts.delivered += 1
        this.#lost -= lostBefore
      } else {
        this.#counts.failed += 1
        this.#lost += 1
        const text = `a webhook message is given up: ${notice.text} (${reason})`
        this.#parts.logger.error({ receiver: this.#parts.receiver.shown }, text)
      }
    }
  }

  /** @returns why it was given up */
  async #send(notice: Notice, lostBefore: number): Promise<string | undefined> {
    const { receiver, key, firstPauseMs = FIRST_PAUSE_MS } = this.#parts
    const pauses = new Backoff({ firstMs: firstPauseMs, maxMs: MAX_PAUSE_MS, patient: true })
    // The same bytes at each try.
    const body = jsonLine({ ...notice, lostBefore }).trimEnd()
    for (let tries = 1; ; tries++) {
      const headers = {
        'content-type': 'application/json',
        ...webhookHeaders(notice.id, new Date(), body, key),
      }
      const { signal } = this.#end
      const reason = await receiver.send({ method: 'POST', headers, body }, signal)
      if (signal.aborted) return reason
      this.#log.note(reason)
      const isLast = tries === MAX_TRIES || this.#hurry.signal.aborted
      if (reason === undefined || isLast) return reason
      await delay(pauses.next(), undefined, { signal: this.#hurry.signal, ref: false }).catch(
        () => undefined,
      )
    }
  }

  #drop(notices: readonly Notice[]): void {
    const [first] = notices
    if (first === undefined) return
    this.#counts.dropped += notices.length
    this.#lost += notices.length
    const text = `${notices.length === 1 ? 'a webhook message was' : `${notices.length} webhook messages were`} not sent: ${first.text}`
    this.#parts.logger.error({ receiver: this.#parts.receiver.shown }, text)
  }
}

/**
 * Headers that identify a message and prove who sent it, as the Standard Webhooks specification has
 * them: the signature is the HMAC-SHA256 of `<id>.<timestamp>.<body>` in base64, behind `v1,`.
 *
 * @param key without one the message is not signed
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function webhookHeaders(
  id: string,
  sentAt: Date,
  body: string,
  key: Buffer | undefined,
): Record<string, string> {
  const timestamp = String(Math.floor(sentAt.getTime() / 1000))
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp }
  if (key === undefined) return headers
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { ...headers, 'webhook-signature': `v1,${signature}` }
}
