import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

/** What a process has used, from /proc. Sizes in MB of 1,000,000 bytes. */
export interface Usage {
  /** User and system time since its start. */
  readonly cpuSeconds: number
  readonly rssMb: number
  /** Its largest RSS so far. */
  readonly peakMb: number
  /** What no other process shares. */
  readonly privateMb: number
  readonly threads: number
  readonly openFiles: number
}

export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    rssMb: megabytes(status, 'VmRSS'),
    peakMb: megabytes(status, 'VmHWM'),
    privateMb: megabytes(rollup, 'Private_Dirty') + megabytes(rollup, 'Private_Clean'),
    threads: field(status, 'Threads'),
    openFiles: readdirSync(`/proc/${pid}/fd`).length,
  }
}

/** CPU seconds of all children of this process that have ended, in steps of 10 ms. */
export function cpuSecondsOfEndedChildren(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND
}

function megabytes(text: string, name: string): number {
  return (field(text, name) * 1024) / 1e6
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN)
}
