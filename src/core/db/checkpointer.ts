import { WorkerThread } from '../async/worker-thread.ts'
import { DatabaseError } from './database-error.ts'

export type CheckpointRequest = { readonly path: string } & (
  | { readonly op: 'ready' | 'unlock' | 'forget' }
  | { readonly op: 'passive' | 'lock'; readonly timeoutMs: number }
)

export interface CheckpointReply {
  readonly busy: boolean
  readonly error?: string
}

/**
 * Runs the SQLite calls that can block (checkpoints, and waiting for the write lock) in one worker
 * thread for all databases. The thread starts with the first call and does not keep the process alive.
 */
export class Checkpointer {
  #thread: CheckpointThread | undefined

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
    if (this.#thread?.hasEnded === false) await this.#call({ op: 'forget', path })
  }

  /**
   * Ends the thread. Its connections are left to the end of the process, because the last close
   * would delete the WAL.
   */
  async close(): Promise<void> {
    await this.#thread?.close()
  }

  async #call(request: CheckpointRequest): Promise<CheckpointReply> {
    if (this.#thread?.hasEnded !== false) this.#thread = new CheckpointThread()
    const thread = this.#thread
    const reply = (await thread.ask(request)) ?? {
      busy: false,
      error: thread.failure?.message ?? 'the checkpoint thread has ended',
    }
    if (reply.error !== undefined && !reply.busy) {
      throw new DatabaseError(
        'Busy',
        request.path,
        `${request.op} on ${request.path} failed: ${reply.error}.`,
      )
    }
    return reply
  }
}

class CheckpointThread extends WorkerThread<CheckpointRequest, CheckpointReply> {
  constructor() {
    super('./checkpoint-worker', import.meta.url)
  }
}
