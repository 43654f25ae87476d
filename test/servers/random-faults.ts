import type { Fault } from './scripted-faults.ts'

const KINDS = [
  'unavailable',
  'serverError',
  'resetBefore',
  'answerLost',
  'bodyCut',
  'slow',
  'hang',
] as const
export type RandomFaultKind = (typeof KINDS)[number]

export interface RandomFaultOptions {
  /** Same seed, same sequence of decisions (their requests depend on timing). */
  readonly seed: number
  /** Share of requests that are hit, 0 to 1. Default 0.2. */
  readonly share?: number | undefined
  /** Default: all. */
  readonly kinds?: readonly RandomFaultKind[] | undefined
  /** Delay of a slow answer in milliseconds. Default 300. */
  readonly slowMs?: number | undefined
}

/** A network on a bad day: a share of the requests meets a fault, each kind as often as the others. */
export class RandomFaults {
  readonly #share: number
  readonly #kinds: readonly RandomFaultKind[]
  readonly #slowMs: number
  readonly #counts = new Map<RandomFaultKind, number>()
  #state: number

  constructor({ seed, share = 0.2, kinds = KINDS, slowMs = 300 }: RandomFaultOptions) {
    this.#share = share
    this.#kinds = kinds
    this.#slowMs = slowMs
    this.#state = seed >>> 0
  }

  /** Faults that were dealt out so far, by kind; a kind that never came is 0. */
  get counts(): Readonly<Record<RandomFaultKind, number>> {
    const all = KINDS.map((kind) => [kind, this.#counts.get(kind) ?? 0] as const)
    return Object.fromEntries(all) as Record<RandomFaultKind, number>
  }

  /** @param hasBody does the answer carry an object or a listing? Only then can its body be cut. */
  take(hasBody: boolean): Fault | undefined {
    if (this.#next() >= this.#share) return undefined
    const fitting = this.#kinds.filter((kind) => hasBody || kind !== 'bodyCut')
    const kind = fitting[Math.floor(this.#next() * fitting.length)]
    if (kind === undefined) return undefined
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
    switch (kind) {
      case 'unavailable':
        return { kind: 'answer', status: 503, code: undefined, retryAfterMs: undefined }
      case 'serverError':
        return { kind: 'answer', status: 500, code: undefined, retryAfterMs: undefined }
      case 'resetBefore':
        return { kind: 'dropRequest' }
      case 'answerLost':
        return { kind: 'dropResponse' }
      case 'bodyCut':
        return { kind: 'cutBody', bytes: Math.floor(this.#next() * 200), cleanly: false }
      case 'slow':
        return { kind: 'slow', ms: this.#slowMs }
      case 'hang':
        return { kind: 'stall', afterCommit: this.#next() < 0.5 }
    }
  }

  /** mulberry32: small, seeded, good enough to pick faults. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
