import { spawnSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'
import type { Program } from './programs.ts'
import { type Figures, figuresOf, type Row } from './table.ts'

export interface SectionReport {
  readonly name: string
  readonly seconds: number
  readonly loadAtStart: number
  readonly loadAtEnd: number
  /** Why it has not all its rows. */
  readonly error?: string | undefined
}

/** What is kept of a run, as JSON. */
export interface Report {
  readonly version: 1
  readonly startedAt: string
  readonly endedAt: string
  /** Its figures say little. */
  readonly quick: boolean
  /** Of the sources, with `-dirty` if they were changed. */
  readonly commit: string
  readonly machine: {
    readonly cpus: number
    readonly cpu: string
    readonly memoryGb: number
    readonly kernel: string
    readonly node: string
  }
  /** Versions by column. */
  readonly programs: Readonly<Record<string, string>>
  /** Load average of one minute. */
  readonly load: { readonly start: number; readonly end: number }
  readonly sections: readonly SectionReport[]
  readonly rows: readonly (Row & { readonly figures: Figures })[]
}

export interface Run {
  readonly startedAt: Date
  readonly quick: boolean
  readonly programs: readonly Program[]
  readonly sections: readonly SectionReport[]
  readonly rows: readonly Row[]
}

export function reportOf({ startedAt, quick, programs, sections, rows }: Run): Report {
  const git = spawnSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' })
  return {
    version: 1,
    startedAt: startedAt.toISOString(),
    endedAt: new Date().toISOString(),
    quick,
    commit: git.stdout?.trim() ?? '',
    machine: {
      cpus: cpus().length,
      cpu: cpus()[0]?.model ?? 'unknown',
      memoryGb: Math.round(totalmem() / 1e9),
      kernel: release(),
      node: process.versions.node,
    },
    programs: Object.fromEntries(programs.map(({ name, version }) => [name, version])),
    load: { start: sections[0]?.loadAtStart ?? loadNow(), end: loadNow() },
    sections,
    rows: rows.map((row) => ({ ...row, figures: figuresOf(row) })),
  }
}

/** What a reader has to know beside the table. */
export function circumstancesOf(report: Report): string {
  const { machine, programs, load, sections } = report
  const versions = Object.entries(programs).map(([name, version]) => `${name} ${version}`)
  const failed = sections.filter(({ error }) => error !== undefined)
  return [
    `${report.startedAt} to ${report.endedAt}, commit ${report.commit}: ${versions.join(', ')}.`,
    `${machine.cpus} × ${machine.cpu}, ${machine.memoryGb} GB, kernel ${machine.kernel}, Node ${machine.node}.`,
    `Load average of one minute: ${load.start} at the start, ${load.end} at the end (the run's own work included).`,
    'Figures are medians unless they say otherwise. MB are 1,000,000 bytes. × are ratios to a writer alone in the same round.',
    ...(report.quick
      ? ['A quick run: it shows that everything works, and says little about speed.']
      : []),
    ...failed.map(({ name, error }) => `The section ${name} failed: ${error}`),
  ].join('\n')
}

/** Load average of one minute. */
export function loadNow(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100
}
