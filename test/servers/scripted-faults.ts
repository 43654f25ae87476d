import type { FaultControl, FaultOptions, FaultTarget } from '../../src/testing/faults.ts'

/** What the proxy does to one request. */
export type Fault =
  | { readonly kind: 'dropResponse' }
  | { readonly kind: 'dropRequest' }
  | { readonly kind: 'cutBody'; readonly bytes: number; readonly cleanly: boolean }
  | { readonly kind: 'stall'; readonly afterCommit: boolean }
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly code: 'checksum' | undefined
      readonly retryAfterMs: number | undefined
    }
  | { readonly kind: 'ignoreRange' }
  | { readonly kind: 'before'; readonly hook: () => Promise<void> }
  | { readonly kind: 'slow'; readonly ms: number }

type Target = Exclude<FaultTarget, 'any'> | undefined

interface Scripted {
  readonly on: FaultTarget
  readonly fault: Fault
  skip: number
  left: number
}

/** The contract suite's script: each request uses up the first fault that matches it. */
export class ScriptedFaults implements FaultControl {
  readonly #onReset: () => void
  #script: Scripted[] = []
  #seen: Target[] = []
  #refused = new Set<string>()

  /** @param onReset lets stalled requests go */
  constructor(onReset: () => void) {
    this.#onReset = onReset
  }

  /** Counts a request and says what is to happen to it. */
  take(target: Target): Fault | undefined {
    this.#seen.push(target)
    for (const entry of this.#script) {
      if (entry.left === 0 || (entry.on !== 'any' && entry.on !== target)) continue
      if (entry.skip > 0) {
        entry.skip--
        continue
      }
      entry.left--
      return entry.fault
    }
    return undefined
  }

  isRefused(key: string): boolean {
    return this.#refused.has(key)
  }

  get refusedKeys(): ReadonlySet<string> {
    return this.#refused
  }

  reset(): void {
    this.#script = []
    this.#seen = []
    this.#refused = new Set()
    this.#onReset()
  }

  requestCount(on: FaultTarget = 'any'): number {
    return on === 'any' ? this.#seen.length : this.#seen.filter((target) => target === on).length
  }

  dropResponse(options?: FaultOptions): void {
    this.#add({ kind: 'dropResponse' }, options)
  }

  dropRequest(options?: FaultOptions): void {
    this.#add({ kind: 'dropRequest' }, options)
  }

  cutBody(
    bytes: number,
    options?: FaultOptions & { readonly cleanly?: boolean | undefined },
  ): void {
    this.#add({ kind: 'cutBody', bytes, cleanly: options?.cleanly ?? false }, options)
  }

  stall(options?: FaultOptions & { readonly afterCommit?: boolean | undefined }): void {
    this.#add({ kind: 'stall', afterCommit: options?.afterCommit ?? false }, options)
  }

  answer(
    status: number,
    options?: FaultOptions & {
      readonly code?: 'checksum' | undefined
      readonly retryAfterMs?: number | undefined
    },
  ): void {
    const { code, retryAfterMs } = options ?? {}
    this.#add({ kind: 'answer', status, code, retryAfterMs }, options)
  }

  ignoreRange(options?: FaultOptions): void {
    this.#add({ kind: 'ignoreRange' }, options)
  }

  before(hook: () => Promise<void>, options?: FaultOptions): void {
    this.#add({ kind: 'before', hook }, options)
  }

  refuseDelete(key: string): void {
    this.#refused.add(key)
  }

  #add(fault: Fault, { on = 'any', times = 1, skip = 0 }: FaultOptions = {}): void {
    this.#script.push({ on, fault, skip, left: times })
  }
}
