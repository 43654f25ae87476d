/** One moment by two clocks, in milliseconds: the monotonic one may stand still while the machine sleeps, the other may be set back. */
export interface Instant {
  /** Since 1970. */
  readonly wall: number
  /** Since a moment of its own. */
  readonly monotonic: number
}

/** Where the engine and the writer claim take the time from, so that a test can set it. */
export type Clock = () => Instant

/** The clocks of this process. */
export function systemClock(): Instant {
  return { wall: Date.now(), monotonic: performance.now() }
}
