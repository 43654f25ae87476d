import { setTimeout as delay } from 'node:timers/promises'
import { abortable, linkSignals } from '../core/async/signals.ts'
import { parseTxid } from '../core/ltx/txid.ts'
import { ControlClient, LinkClosed } from './control-client.ts'
import { EventQueue } from './event-queue.ts'
import type {
  Replica,
  ReplicaEvent,
  ReplicaListeners,
  ReplicaState,
  ReplicaStatus,
  SyncedState,
  WaitOptions,
} from './replica.ts'
import { fromReport, ReplicationError, type ReportedError } from './replication-error.ts'
import { saidStopLimitMs, stopLimitMs } from './stop-limit.ts'
import { type ProcessEnd, type ProcessOptions, WalsyncProcess } from './walsync-process.ts'

/** Pauses before the process is started again, in milliseconds: the first, and the longest. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 30_000
/** A process that ran so long was well: the next pause is the first again. */
const HEALTHY_MS = 60_000
/** Between two requests for a database that the process does not know yet. */
const NOT_YET_MS = 25
/** How much longer than its timeout a request may take before the process counts as frozen, in milliseconds. */
const ANSWER_MS = 1000
/** With the first of these, the database is in the hands of the process. */
const STARTED = new Set(['base', 'resumed', 'adopted', 'waiting', 'standby'])
const NEVER = new AbortController().signal
/** Another start would fail in the same way, or only fence the writer that has taken over. */
const FINAL = new Set(['Usage', 'Fenced'])

type Running = { readonly process: WalsyncProcess; readonly control: ControlClient }

/** Keeps one `walsync watch` running, and answers for it. */
export class Supervisor implements Replica {
  readonly #name: string
  readonly #args: readonly string[]
  readonly #options: ProcessOptions
  readonly #listeners: { [E in keyof ReplicaListeners]: Set<ReplicaListeners[E]> } = {
    event: new Set(),
    error: new Set(),
    state: new Set(),
  }
  readonly #queues = new Set<EventQueue<ReplicaEvent>>()
  readonly #ended = new AbortController()
  readonly #stopAsked = new AbortController()
  readonly #over: Promise<ReplicationError | undefined>
  #stopMs: number
  /** Has it been killed, because it did not end within `#stopMs`? */
  #isKilled = false
  #state: ReplicaState = 'starting'
  #current: WalsyncProcess | undefined
  #ready = Promise.withResolvers<Running>()
  #status: Pick<ReplicaStatus, 'txid' | 'syncedAt' | 'lastError'> = {
    txid: undefined,
    syncedAt: undefined,
    lastError: undefined,
  }
  #restarts = 0
  #holds = 0
  #releaseProcess: () => void = () => {}

  constructor(name: string, args: readonly string[], options: ProcessOptions) {
    this.#name = name
    this.#args = args
    this.#options = options
    this.#stopMs = stopLimitMs(args, options.env ?? process.env)
    this.#ready.promise.catch(() => {})
    this.#over = this.#run()
  }

  /** Resolves when the first process replicates. @throws ReplicationError, the reason of the signal */
  async started(signal?: AbortSignal): Promise<void> {
    try {
      await this.#held(() => abortable(this.#ready.promise, signal ?? NEVER))
    } catch (error) {
      await this.stop().catch(() => {})
      throw error
    }
  }

  wait(options: WaitOptions = {}): Promise<SyncedState> {
    return this.#held(() => this.#ship('wait', options))
  }

  sync(options: WaitOptions = {}): Promise<SyncedState> {
    return this.#held(() => this.#ship('sync', options))
  }

  status(): ReplicaStatus {
    const { txid, syncedAt, lastError } = this.#status
    const pid = this.#current?.pid
    return { state: this.#state, pid, restarts: this.#restarts, txid, syncedAt, lastError }
  }

  on<E extends keyof ReplicaListeners>(event: E, listener: ReplicaListeners[E]): () => void {
    this.#listeners[event].add(listener)
    return () => this.#listeners[event].delete(listener)
  }

  events(): AsyncIterableIterator<ReplicaEvent> {
    const queue = new EventQueue<ReplicaEvent>((one) => this.#queues.delete(one))
    if (this.#ended.signal.aborted) queue.end()
    else this.#queues.add(queue)
    return queue
  }

  async stop(): Promise<void> {
    this.#stopAsked.abort()
    if (this.#state !== 'failed' && this.#state !== 'stopped') this.#enter('stopping')
    const error = await this.#held(() => this.#ending())
    if (error !== undefined && this.#state === 'stopped') throw error
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** Asks the process to end, and kills one that does not within `#stopMs`. */
  async #ending(): Promise<ReplicationError | undefined> {
    this.#current?.end()
    const timer = setTimeout(() => {
      this.#isKilled = true
      this.#current?.kill()
    }, this.#stopMs)
    try {
      return await this.#over
    } finally {
      clearTimeout(timer)
    }
  }

  /** Starts processes until one is to end, or one has ended for good. @returns why not all is in the store */
  async #run(): Promise<ReplicationError | undefined> {
    let pauseMs = FIRST_PAUSE_MS
    let isFirst = true
    for (;;) {
      const startedAt = performance.now()
      const end = await this.#runOnce()
      if (this.#stopAsked.signal.aborted) return this.#finish('stopped', this.#whyUnstored(end))
      const error = whyEnded(end)
      const isFinal = FINAL.has(error.code) || (isFirst && this.#state === 'starting')
      this.#trouble(error)
      if (isFinal) return this.#finish('failed', error)
      isFirst = false
      this.#enter('restarting')
      if (performance.now() - startedAt > HEALTHY_MS) pauseMs = FIRST_PAUSE_MS
      await delay(pauseMs, undefined, { signal: this.#stopAsked.signal }).catch(() => {})
      if (this.#stopAsked.signal.aborted) return this.#finish('stopped', error)
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
      this.#restarts++
    }
  }

  async #runOnce(): Promise<ProcessEnd> {
    let isSilent = true
    const process = new WalsyncProcess('watch', this.#args, this.#options, (line) => {
      const event = toEvent(line)
      this.#note(event)
      // Before its first event a process listens to nobody.
      if (isSilent || event.event === 'config-reloaded') void this.#askStopLimit(control)
      isSilent = false
      if (!STARTED.has(event.event) || this.#current !== process) return
      this.#ready.resolve({ process, control })
      if (this.#state !== 'stopping') this.#enter('running')
    })
    const control = new ControlClient(process.link)
    this.#current = process
    if (this.#holds > 0) this.#releaseProcess = process.hold()
    const end = await process.ended
    this.#releaseProcess()
    this.#current = undefined
    this.#ready.promise.catch(() => {})
    // Whoever waits for the first process gets the next one, or the reason why there is none.
    const { promise, resolve, reject } = Promise.withResolvers<Running>()
    promise.catch(() => {})
    const before = this.#ready
    this.#ready = { promise, resolve, reject }
    promise.then(before.resolve, before.reject)
    return end
  }

  /** Only the process knows all of its settings: its configuration file may hold the shutdown timeout. */
  async #askStopLimit(control: ControlClient): Promise<void> {
    const status = await control.request('status', {}).catch(() => ({}))
    this.#stopMs = saidStopLimitMs(status) ?? this.#stopMs
  }

  /** Why not everything may be in the store although the process was asked to upload it. */
  #whyUnstored(end: ProcessEnd): ReplicationError | undefined {
    const { code, signal, error } = end
    if (error !== undefined || code === 0) return error
    const how = this.#isKilled
      ? `did not end within ${Math.round(this.#stopMs / 1000)} s and was killed`
      : `ended ${howEnded({ code, signal })}`
    return new ReplicationError(
      'Stopped',
      `The walsync process of ${this.#name} ${how}. The last commits may not be in the store.`,
      { hint: 'They are in the WAL of the database, and are uploaded at the next start.' },
    )
  }

  #finish(state: 'stopped' | 'failed', error: ReplicationError | undefined) {
    const reason =
      state === 'failed' && error !== undefined
        ? error
        : new ReplicationError('Stopped', `The replication of ${this.#name} was stopped.`)
    this.#ready.reject(reason)
    this.#ended.abort(reason)
    this.#enter(state)
    for (const queue of this.#queues) queue.end()
    this.#queues.clear()
    return error
  }

  async #ship(method: 'wait' | 'sync', { timeoutMs, signal }: WaitOptions): Promise<SyncedState> {
    const deadline = timeoutMs === undefined ? undefined : performance.now() + timeoutMs
    const left = () =>
      deadline === undefined ? undefined : Math.max(0, deadline - performance.now())
    for (;;) {
      const { control } = await this.#withinTime(left(), signal)
      const leftMs = left()
      const frozen =
        leftMs === undefined ? NEVER : AbortSignal.timeout(Math.ceil(leftMs) + ANSWER_MS)
      const either = linkSignals(signal, frozen)
      try {
        const params = { databases: [this.#name], timeoutMs: leftMs }
        return this.#shipped(await control.request(method, params, either.signal))
      } catch (error) {
        if (frozen.aborted && signal?.aborted !== true) throw this.#unanswered(timeoutMs)
        const isGone = error instanceof LinkClosed
        const isEarly = error instanceof ReplicationError && error.reason === 'UnknownDatabase'
        if (!isGone && !isEarly) throw error
        if (left() === 0) throw this.#late(timeoutMs)
        await delay(NOT_YET_MS, undefined, signal && { signal })
      } finally {
        either.release()
      }
    }
  }

  /** The process that replicates now, or the next one. */
  async #withinTime(timeoutMs: number | undefined, signal?: AbortSignal): Promise<Running> {
    if (this.#ended.signal.aborted) throw this.#ended.signal.reason
    if (timeoutMs === undefined) return await abortable(this.#ready.promise, signal ?? NEVER)
    const late = AbortSignal.timeout(Math.ceil(timeoutMs))
    const either = signal === undefined ? late : AbortSignal.any([signal, late])
    return await abortable(this.#ready.promise, either).catch((error) => {
      signal?.throwIfAborted()
      throw late.aborted ? this.#late(timeoutMs) : error
    })
  }

  #late(timeoutMs = 0): ReplicationError {
    const message = `The last commits of ${this.#name} did not reach the store within ${Math.round(timeoutMs)} ms: walsync is being started again.`
    return new ReplicationError('Timeout', message, { cause: this.#status.lastError })
  }

  #unanswered(timeoutMs = 0): ReplicationError {
    const message = `The last commits of ${this.#name} did not reach the store within ${Math.round(timeoutMs)} ms: the walsync process does not answer.`
    return new ReplicationError('Timeout', message, {
      hint: 'It is frozen or has no time to run. Check the load of the machine, and whether the process is stopped.',
    })
  }

  #shipped(result: object): SyncedState {
    const { databases } = result as { databases?: readonly { txid?: string }[] }
    const hex = databases?.[0]?.txid
    const txid = hex === undefined ? undefined : parseTxid(hex)
    this.#status = { txid: txid ?? this.#status.txid, syncedAt: new Date(), lastError: undefined }
    return { txid }
  }

  #note(event: ReplicaEvent): void {
    const { txid, error, time } = event
    if (error !== undefined) this.#trouble(error)
    if (txid !== undefined && (event.event === 'synced' || event.event === 'base')) {
      this.#status = { txid, syncedAt: time, lastError: undefined }
    }
    for (const queue of this.#queues) queue.push(event)
    for (const listener of this.#listeners.event) listener(event)
  }

  #trouble(error: ReplicationError): void {
    this.#status = { ...this.#status, lastError: error }
    for (const listener of this.#listeners.error) listener(error)
  }

  #enter(state: ReplicaState): void {
    if (this.#state === state) return
    this.#state = state
    for (const listener of this.#listeners.state) listener(state)
  }

  /** This program stays for what it waits for, and for nothing else. */
  async #held<T>(work: () => Promise<T>): Promise<T> {
    if (this.#holds++ === 0 && this.#current !== undefined) {
      this.#releaseProcess = this.#current.hold()
    }
    try {
      return await work()
    } finally {
      if (--this.#holds === 0) this.#releaseProcess()
    }
  }
}

function toEvent(line: object): ReplicaEvent {
  const { time, txid, error, ...rest } = line as Record<string, unknown>
  return {
    event: 'unknown',
    ...rest,
    time: new Date(String(time)),
    ...(typeof txid === 'string' && { txid: parseTxid(txid) }),
    ...(typeof error === 'object' && error !== null && { error: errorIn(line, error) }),
  }
}

function errorIn(line: object, error: ReportedError): ReplicationError {
  const { event } = line as { event?: string }
  return fromReport(
    error,
    event?.startsWith('store') ? 'Store' : event?.startsWith('database') ? 'Database' : 'Failed',
  )
}

function whyEnded({ code, signal, error }: ProcessEnd): ReplicationError {
  if (error !== undefined) return error
  return new ReplicationError('Ended', `The walsync process ended ${howEnded({ code, signal })}.`, {
    hint: 'It is restarted automatically. If this happens again, check the system log.',
  })
}

function howEnded({ code, signal }: Pick<ProcessEnd, 'code' | 'signal'>): string {
  return signal === null ? `with exit code ${code}` : `by ${signal}`
}
