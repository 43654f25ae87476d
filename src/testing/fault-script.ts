import { StoreError, type StoreErrorCode } from '../core/store/index.ts'
import type { FaultControl, FaultOptions, FaultTarget } from './faults.ts'

export type Fault =
  | { readonly kind: 'dropResponse' | 'dropRequest' | 'ignoreRange' }
  | { readonly kind: 'cutBody'; readonly bytes: number; readonly cleanly: boolean }
  | { readonly kind: 'stall'; readonly afterCommit: boolean }
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly code?: 'checksum' | undefined
      readonly retryAfterMs?: number | undefined
    }
  | { readonly kind: 'before'; readonly hook: () => Promise<void> }

interface Scripted {
  readonly fault: Fault
  readonly on: FaultTarget
  times: number
  skip: number
}

/**
 * Scripted faults for a run without a network: `FaultyStore` consults it before and after each
 * call.
 */
export class FaultScript implements FaultControl {
  #scripted: Scripted[] = []
  #counts = new Map<FaultTarget, number>()
  readonly #refused = new Set<string>()
  #released = Promise.withResolvers<void>()

  reset(): void {
    this.#scripted = []
    this.#counts.clear()
    this.#refused.clear()
    this.#released.resolve()
    this.#released = Promise.withResolvers()
  }

  requestCount(on: FaultTarget = 'any'): number {
    if (on !== 'any') return this.#counts.get(on) ?? 0
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0)
  }

  dropResponse(options?: FaultOptions): void {
    this.#add({ kind: 'dropResponse' }, options)
  }

  dropRequest(options?: FaultOptions): void {
    this.#add({ kind: 'dropRequest' }, options)
  }

  cutBody(bytes: number, options?: FaultOptions & { readonly cleanly?: boolean }): void {
    this.#add({ kind: 'cutBody', bytes, cleanly: options?.cleanly ?? false }, options)
  }

  stall(options?: FaultOptions & { readonly afterCommit?: boolean }): void {
    this.#add({ kind: 'stall', afterCommit: options?.afterCommit ?? false }, options)
  }

  answer(
    status: number,
    options: FaultOptions & { readonly code?: 'checksum'; readonly retryAfterMs?: number } = {},
  ): void {
    const { code, retryAfterMs } = options
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

  refuses(key: string): boolean {
    return [...this.#refused].some((refused) => key === refused || key.endsWith(`/${refused}`))
  }

  /** Counts a request and returns the fault that hits it. */
  take(on: FaultTarget): Fault | undefined {
    this.#counts.set(on, (this.#counts.get(on) ?? 0) + 1)
    for (const one of this.#scripted) {
      if (one.times === 0 || (one.on !== 'any' && one.on !== on)) continue
      if (one.skip > 0) {
        one.skip--
        continue
      }
      one.times--
      return one.fault
    }
    return undefined
  }

  /** Resolves at the next `reset`. */
  get released(): Promise<void> {
    return this.#released.promise
  }

  #add(fault: Fault, { on = 'any', times = 1, skip = 0 }: FaultOptions = {}): void {
    this.#scripted.push({ fault, on, times, skip })
  }
}

const CODES: Readonly<Record<number, StoreErrorCode>> = {
  401: 'Unauthenticated',
  403: 'PermissionDenied',
  400: 'InvalidArgument',
  408: 'Unavailable',
  409: 'Unavailable',
  429: 'Throttled',
  500: 'Unavailable',
  501: 'Unsupported',
  502: 'Unavailable',
  503: 'Unavailable',
  504: 'Unavailable',
}

/** The error that a backend would map such a response to. */
export function answerError(
  fault: Fault & { readonly kind: 'answer' },
  op: string,
  key: string | undefined,
): StoreError {
  const what = key === undefined ? op : `${op} of ${key}`
  const message = `The service answered ${fault.status}: ${what}.`
  const { status: httpStatus, retryAfterMs } = fault
  if (fault.code === 'checksum') {
    return new StoreError('Corrupted', message, { op, key, httpStatus, retryable: true })
  }
  return new StoreError(CODES[fault.status] ?? 'Unknown', message, {
    op,
    key,
    httpStatus,
    retryAfterMs,
  })
}
