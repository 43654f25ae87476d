import { Worker } from 'node:worker_threads'
import { DatabaseError } from './database-error.ts'

export type CheckpointRequest = { readonly id: number } & CheckpointCall

type CheckpointCall = { readonly path: string } & (
  | { readonly op: 'ready' | 'unlock' | 'forget' }
  | { readonly op: 'passive' | 'lock'; readonly timeoutMs: number }
)

export interface CheckpointReply {
  readonly id: number
  readonly busy: boolean
  readonly error?: string
}

/**
 * Runs the SQLite calls that can block (checkpoints, and waiting for the write lock) in one worker
 * thread for all databases. The thread starts with the first call and does not keep the process alive.
 */
export class Checkpointer {
  #worker: Worker | undefined
  #nextId = 1
  readonly #waiting = new Map<number, (reply: CheckpointReply) => void>()

  /**
   * Starts the thread and opens its connections, so that the next call begins at once. An
   * application runs a checkpoint of its own after any commit: one that finds the read mark moved
   * before `passive` has begun copies all of the WAL itself, and its writer waits for that.
   */
  async ready(path: string): Promise<void> {
    await this.#call({ op: 'ready', path })
  }

  /**
   * Copies what the read marks allow from the WAL into the database, never waiting for readers or
   * writers. False if another checkpoint was running for all of `timeoutMs`.
   */
  async passive(path: string, timeoutMs: number): Promise<boolean> {
    return !(await this.#call({ op: 'passive', path, timeoutMs })).busy
  }

  /**
   * Keeps other writers out with an open `BEGIN IMMEDIATE`; nothing is written. The lock is
   * released automatically after a second. False if it was not free within `timeoutMs`.
   */
  async lock(path: string, timeoutMs: number): Promise<boolean> {
    return !(await this.#call({ op: 'lock', path, timeoutMs })).busy
  }

  async unlock(path: string): Promise<void> {
    await this.#call({ op: 'unlock', path })
  }

  /** Closes the worker's connections to a database. */
  async forget(path: string): Promise<void> {
    if (this.#worker !== undefined) await this.#call({ op: 'forget', path })
  }

  /**
   * Ends the thread. Its connections are left to the end of the process, because the last close
   * would delete the WAL.
   */
  async close(): Promise<void> {
    await this.#worker?.terminate()
    this.#worker = undefined
  }

  async #call(request: CheckpointCall): Promise<CheckpointReply> {
    this.#worker ??= this.#start()
    const id = this.#nextId++
    const reply = await new Promise<CheckpointReply>((resolve) => {
      this.#waiting.set(id, resolve)
      this.#worker?.ref()
      this.#worker?.postMessage({ ...request, id })
    })
    if (this.#waiting.size === 0) this.#worker?.unref()
    if (reply.error !== undefined && !reply.busy) {
      throw new DatabaseError(
        'Busy',
        request.path,
        `${request.op} on ${request.path} failed: ${reply.error}.`,
      )
    }
    return reply
  }

  #start(): Worker {
    const file = import.meta.url.endsWith('.ts')
      ? './checkpoint-worker.ts'
      : './checkpoint-worker.js'
    const worker = new Worker(new URL(file, import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    })
    worker.unref()
    worker.on('message', (reply: CheckpointReply) => {
      const resolve = this.#waiting.get(reply.id)
      this.#waiting.delete(reply.id)
      resolve?.(reply)
    })
    worker.on('error', (error) => this.#fail(error))
    worker.on('exit', () => this.#fail(new Error('the checkpoint thread has ended')))
    return worker
  }

  #fail(error: Error): void {
    this.#worker = undefined
    for (const [id, resolve] of this.#waiting) resolve({ id, busy: false, error: error.message })
    this.#waiting.clear()
  }
}
