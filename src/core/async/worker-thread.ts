import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

/**
 * A thread that answers each request, in the order of the requests. It does not keep the process alive
 * while it has none.
 */
export class WorkerThread<Request, Answer> {
  readonly #worker: Worker
  readonly #waiting: ((answer: Answer | undefined) => void)[] = []
  #isClosing = false
  #hasEnded = false
  #failure: Error | undefined

  /**
   * @param script module of the thread without extension, relative to `from`
   * @param from `import.meta.url` of the caller
   * @param workerData what the thread finds under that name
   * @throws if the thread cannot be started
   */
  constructor(script: string, from: string, workerData?: unknown) {
    const extension = from.endsWith('.ts') ? 'ts' : 'js'
    this.#worker = new Worker(new URL(`${script}.${extension}`, from), {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    })
    this.#worker.unref()
    this.#worker.on('message', (answer: Answer | undefined) => this.#answer(answer))
    // An exit follows.
    this.#worker.on('error', (error: Error) => {
      this.#failure = error
    })
    this.#worker.on('exit', () => {
      this.#hasEnded = true
      while (this.#waiting.length > 0) this.#answer(undefined)
    })
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Why it has ended, unless it was closed. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Can it take a request, with fewer than `most` waiting? */
  isFree(most: number): boolean {
    return !this.#hasEnded && this.#waiting.length < most
  }

  /**
   * Resolves to the answer; `undefined` if the thread has ended.
   *
   * @param transfer goes along, and is lost with the thread
   */
  ask(request: Request, transfer?: readonly ArrayBuffer[]): Promise<Answer | undefined> {
    if (this.#hasEnded) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      this.#worker.postMessage(request, transfer)
      this.#worker.ref()
      this.#waiting.push(resolve)
    })
  }

  /** Ends the thread, whatever it is doing, and resolves when it has ended. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.#worker.terminate()
  }

  #answer(answer: Answer | undefined): void {
    this.#waiting.shift()?.(answer)
    // `terminate` keeps the process alive until the thread has ended. An answer that comes meanwhile must not
    // undo that: with nothing else to do, the process would end before `close` returns.
    if (this.#waiting.length === 0 && !this.#isClosing) this.#worker.unref()
  }
}

/** As many as can be started: a limit of threads must not prevent work that needs none. */
export function startThreads<T>(count: number, start: () => T): T[] {
  const started: T[] = []
  try {
    while (started.length < count) started.push(start())
  } catch {
    // The caller's thread does what these cannot.
  }
  return started
}

/** How many threads can help the caller's, on this machine. */
export function helperThreads(most: number): number {
  return Math.min(availableParallelism() - 1, most)
}
