import type { Logger } from '../output/logger.ts'
import type { Unready } from '../status/readiness.ts'
import { DeliveryLog } from './delivery-log.ts'
import type { Receiver } from './receiver.ts'

export interface HeartbeatParts {
  readonly receiver: Receiver
  /** From one heartbeat to the next, in milliseconds. */
  readonly intervalMs: number
  /** What keeps a heartbeat from being sent; empty if all is well. */
  readonly unready: () => readonly Unready[]
  readonly logger: Logger
}

/**
 * Tells a monitor that all is well, at the end of each interval in which it is. The monitor raises
 * the alarm when it hears nothing, so that a process that is dead or cut off is noticed as well.
 */
export class Heartbeat {
  readonly #parts: HeartbeatParts
  readonly #log: DeliveryLog
  readonly #closing = new AbortController()
  readonly #counts = { success: 0, failure: 0 }
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined
  #isPaused = false

  constructor(parts: HeartbeatParts) {
    this.#parts = parts
    this.#log = new DeliveryLog(parts.logger, 'heartbeats', parts.receiver.shown)
  }

  /** Heartbeats so far, by result. */
  get counts(): Readonly<Record<'success' | 'failure', number>> {
    return this.#counts
  }

  /** Sends the first one after one interval. */
  start(): void {
    this.#timer ??= setInterval(() => this.#beat(), this.#parts.intervalMs).unref()
  }

  /** Ends at once; one that is under way is given up. */
  close(): void {
    clearInterval(this.#timer)
    this.#closing.abort()
  }

  #beat(): void {
    const unready = this.#parts.unready()
    this.#logPause(unready)
    if (unready.length > 0 || this.#sending !== undefined) return
    this.#sending = this.#send().finally(() => {
      this.#sending = undefined
    })
  }

  async #send(): Promise<void> {
    const { signal } = this.#closing
    const reason = await this.#parts.receiver.send({ method: 'GET' }, signal)
    if (signal.aborted) return
    this.#counts[reason === undefined ? 'success' : 'failure'] += 1
    this.#log.note(reason)
  }

  #logPause(unready: readonly Unready[]): void {
    const [first] = unready
    const { logger } = this.#parts
    if (first !== undefined && !this.#isPaused) {
      const { name, reason } = first
      const text = `no heartbeats until every database is replicated: ${name}: ${reason}`
      logger.warn({ unready: unready.length }, text)
    } else if (first === undefined && this.#isPaused) {
      logger.info('every database is replicated again, heartbeats continue')
    }
    this.#isPaused = first !== undefined
  }
}
