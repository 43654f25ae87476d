import { Presets, SingleBar } from 'cli-progress'

/** How far a command is, in whatever unit it counts. */
export interface Progress {
  update(done: number, total: number): void
  /** Takes the bar off the screen. */
  stop(): void
}

/** A bar on a terminal; nothing is drawn without one. */
export function createProgress(what: string, terminal: NodeJS.WriteStream | undefined): Progress {
  if (terminal === undefined) return { update: () => undefined, stop: () => undefined }
  const bar = new SingleBar(
    {
      format: `${what} {bar} {percentage}%, {eta_formatted} left`,
      stream: terminal,
      clearOnComplete: true,
      hideCursor: true,
    },
    Presets.shades_classic,
  )
  return {
    update(done, total) {
      if (!bar.isActive) bar.start(total, done)
      bar.setTotal(total)
      bar.update(done)
    },
    stop: () => bar.stop(),
  }
}
