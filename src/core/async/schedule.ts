/**
 * Says when a piece of work should run next. The caller sleeps until then and calls again: whatever
 * happens in between may have changed the answer.
 */
export interface Schedule {
  /**
   * When the work is due, in milliseconds since 1970: `now` or earlier if it is due already, `NEVER`
   * if nothing will be due until something changes. Sends no request.
   */
  dueAt(now: number): number
}

export const NEVER = Number.POSITIVE_INFINITY
