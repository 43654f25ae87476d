/** Takes the place of the process's clock: `Date` says what it is told to. */
export class VirtualClock {
  #now: number

  constructor(start: number) {
    this.#now = start
    const now = () => this.#now
    const RealDate = Date
    globalThis.Date = class extends RealDate {
      constructor(...args: unknown[]) {
        if (args.length === 0) super(now())
        else super(...(args as [number]))
      }
      static override now(): number {
        return now()
      }
    } as DateConstructor
  }

  /** In milliseconds since 1970. */
  get now(): number {
    return this.#now
  }

  advance(ms: number): void {
    this.#now += ms
  }
}
