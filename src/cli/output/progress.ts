import { Presets, SingleBar } from 'cli-progress'

/** How far a command is, in whatever unit it counts. */
export interface Progress {
  update(done: number, total: number): void
  /** Takes the bar off the screen. */
  stop(): void
}

const MAX_BAR = 40
/** Columns of ` 100%, 10m30s left` and the space before the bar: a line that is cut would lose its percentage. */
const REST_OF_BAR = 20

/** A bar on a terminal; nothing is drawn without one. */
export function createProgress(what: string, terminal: NodeJS.WriteStream | undefined): Progress {
  if (terminal === undefined) return { update: () => undefined, stop: () => undefined }
  const room = terminal.columns - what.length - REST_OF_BAR
  const bar = new SingleBar(
    {
      format: `${what}${room < 1 ? '' : ' {bar}'} {percentage}%, {eta_formatted} left`,
      barsize: Math.max(1, Math.min(MAX_BAR, room)),
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
