import { Presets, SingleBar } from 'cli-progress'
import { formatBytes } from './format.ts'

/** How far a transfer is, in bytes. */
export interface Progress {
  update(done: number, total: number): void
  /** Takes the bar off the screen. */
  stop(): void
}

/** A bar on stderr, which must be a terminal; `enabled: false` draws nothing. */
export function createProgress(what: string, enabled: boolean): Progress {
  if (!enabled) return { update: () => undefined, stop: () => undefined }
  const bar = new SingleBar(
    {
      format: `${what} {bar} {percentage}% {done} of {all}, {eta_formatted} left`,
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
    },
    Presets.shades_classic,
  )
  let started = false
  return {
    update(done, total) {
      const shown = { done: formatBytes(done), all: formatBytes(total) }
      if (!started) bar.start(total, done, shown)
      started = true
      bar.setTotal(total)
      bar.update(done, shown)
    },
    stop: () => bar.stop(),
  }
}
